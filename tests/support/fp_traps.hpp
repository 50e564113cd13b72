// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Floating-point traps: in the tests an invalid operation or a division by zero kills the program, on the
// main thread and on every OpenMP thread. Overflow does not trap (Eigen's BDCSVD overflows in passing).
// SCHATTEN_NO_FP_TRAPS=1 in the environment leaves traps off (LAPACK divides by zero on purpose).

#include <cfenv>
#include <cstdlib>

namespace schatten::test {

#if defined(__GLIBC__)

inline constexpr int fp_trapped = FE_INVALID | FE_DIVBYZERO;

inline bool fp_traps_wanted() {
  const char* off = std::getenv("SCHATTEN_NO_FP_TRAPS");
  return off == nullptr || *off == '\0' || *off == '0';
}

inline void set_fp_traps_of_this_thread(bool on) {
  std::feclearexcept(FE_ALL_EXCEPT);
  if (on) {
    feenableexcept(fp_trapped);
  } else {
    fedisableexcept(fp_trapped);
  }
}

// The trap mask belongs to a thread. It is set on the calling thread and on its OpenMP team. A team of libomp takes the
// mask of the calling thread, which has its own again after the region. One of libgomp keeps what is set in the region.
inline void set_fp_traps(bool on) {
  set_fp_traps_of_this_thread(on);
#if defined(_OPENMP)
#pragma omp parallel
  set_fp_traps_of_this_thread(on);
#endif
}

inline bool fp_traps_enabled() { return (fegetexcept() & fp_trapped) == fp_trapped; }

#else

inline bool fp_traps_wanted() { return false; }
inline void set_fp_traps(bool) {}
inline bool fp_traps_enabled() { return false; }

#endif

// Turns traps off for a scope that feeds NaN or Inf on purpose; restores what was there before.
class FpTrapsDisabled {
 public:
  FpTrapsDisabled() : were_enabled_(fp_traps_enabled()) {
    if (were_enabled_) set_fp_traps(false);
  }
  ~FpTrapsDisabled() {
    if (were_enabled_) set_fp_traps(true);
  }
  FpTrapsDisabled(const FpTrapsDisabled&) = delete;
  FpTrapsDisabled& operator=(const FpTrapsDisabled&) = delete;

 private:
  bool were_enabled_;
};

}  // namespace schatten::test
