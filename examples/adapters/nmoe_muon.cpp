// SPDX-License-Identifier: BSD-3-Clause
// The four C symbols by which nmoe orthogonalises bfloat16 matrices [B, M, N] in place: muon_plan_create,
// muon_plan_run, muon_plan_destroy, muon. Link this in place of its own, against a Kokkos whose default execution space
// reaches that memory.
//
// One setter more, schatten_muon_plan_set_power, makes it UΣ^pVᵀ: HTMuon at p = 1/8. `steps` and `coeff_mode`, which
// choose among quintics there, are not read: the map has a promised error, 3 % down to σ = σ_max/1000.
#include <schatten/interop/host_kokkos.hpp>
#include <schatten/interop/pointers.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Space = Exec::memory_space;
using Words = Kokkos::View<std::uint16_t*, Space, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;

/// What muon_plan_create returns: memory for `most` matrices, so that runs allocate nothing after the first.
struct Plan {
  int most, rows, cols;
  schatten::SpectralPower<float, Exec> map;
  Kokkos::View<float*, Space> in, out;

  Plan(int most_matrices, int m, int n)
      : most(most_matrices),
        rows(m),
        cols(n),
        map({.rows = std::size_t(m), .cols = std::size_t(n), .power = 0.0, .resolution = 1e-3, .tolerance = 3e-2}),
        in("nmoe::in", std::size_t(most) * std::size_t(m) * std::size_t(n)),
        out("nmoe::out", in.extent(0)) {}
};

struct Widen {
  Words from;
  Kokkos::View<float*, Space> to;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { to(k) = float(std::bit_cast<schatten::BFloat16>(from(k))); }
};
struct Narrow {
  Kokkos::View<float*, Space> from;
  Words to;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { to(k) = schatten::BFloat16(from(k)).bits; }
};

Exec execution_space(void* stream) {
#if defined(KOKKOS_ENABLE_CUDA)
  return Exec(static_cast<cudaStream_t>(stream));
#else
  (void)stream;
  return Exec();
#endif
}

}  // namespace

extern "C" {

/// Null where a size is not positive or there is no memory.
void* muon_plan_create(int Bmax, int M, int N) {
  if (Bmax <= 0 || M <= 0 || N <= 0) return nullptr;
  try {
    schatten::start_kokkos();
    return new Plan(Bmax, M, N);
  } catch (const std::exception&) {
    return nullptr;
  }
}

void muon_plan_destroy(void* plan) { delete static_cast<Plan*>(plan); }

/// 0 if the plan has that power from now on; otherwise it stays as it is.
int schatten_muon_plan_set_power(void* plan, double power) {
  if (plan == nullptr) return 1;
  try {
    static_cast<Plan*>(plan)->map.set_power(power);
    return 0;
  } catch (const std::exception&) {
    return 1;
  }
}

/// x_bf16 [B, M, N] ← UΣ^pVᵀ of each matrix, on the stream. What does not fit the plan is left as it is.
void muon_plan_run(void* plan, void* x_bf16, long long B, int M, int N, int /*steps*/, int /*coeff_mode*/,
                   void* stream) {
  auto* const p = static_cast<Plan*>(plan);
  if (p == nullptr || x_bf16 == nullptr || B <= 0 || B > p->most || M != p->rows || N != p->cols) return;
  try {
    const Exec exec = execution_space(stream);
    const std::size_t count = std::size_t(B), rows = std::size_t(M), cols = std::size_t(N);
    const std::size_t size = count * rows * cols;
    const Words x(static_cast<std::uint16_t*>(x_bf16), size);
    Kokkos::parallel_for("nmoe::widen", Kokkos::RangePolicy<Exec>(exec, 0, size), Widen{x, p->in});
    p->map.apply(exec, schatten::batch_view<Space>(p->in.data(), count, rows, cols),
                 schatten::batch_view<Space>(p->out.data(), count, rows, cols));
    Kokkos::parallel_for("nmoe::narrow", Kokkos::RangePolicy<Exec>(exec, 0, size), Narrow{p->out, x});
  } catch (const std::exception&) {
    // a decomposition that did not converge: x stays as it is
  }
}

/// The same without a plan that is kept.
void muon(void* x_bf16, long long B, int M, int N, int steps, int coeff_mode, void* stream) {
  if (B <= 0 || B > 0x7fffffff) return;
  void* const plan = muon_plan_create(int(B), M, N);
  if (plan == nullptr) return;
  muon_plan_run(plan, x_bf16, B, M, N, steps, coeff_mode, stream);
  execution_space(stream).fence();
  muon_plan_destroy(plan);
}

}  // extern "C"
