// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The number of OpenMP threads, one where the program is built without OpenMP.

#ifdef _OPENMP
#include <omp.h>
#endif

namespace character_model {

inline int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

inline void set_thread_count([[maybe_unused]] int count) {
#ifdef _OPENMP
  omp_set_num_threads(count);
#endif
}

}  // namespace character_model
