// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Optimizers that many tests use, with the rules that are in schatten::compiled. optimizer_instantiations_*.cpp hold
// them once. Other combinations are compiled where they are used.

#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#define SCHATTEN_TEST_RULE(EXTERN, R, Exec, T, Backend) \
  EXTERN template class optim::RuleGroup<R, T, Exec, linalg::Backend>;
#define SCHATTEN_TEST_OPTIMIZER(EXTERN, Exec, T, Backend)        \
  EXTERN template class SpectralPower<T, Exec, linalg::Backend>; \
  SCHATTEN_TEST_RULE(EXTERN, HTMuon, Exec, T, Backend)           \
  SCHATTEN_TEST_RULE(EXTERN, Muon, Exec, T, Backend)             \
  SCHATTEN_TEST_RULE(EXTERN, NorMuon, Exec, T, Backend)          \
  SCHATTEN_TEST_RULE(EXTERN, AdamW, Exec, T, Backend)            \
  SCHATTEN_TEST_RULE(EXTERN, SGD, Exec, T, Backend)              \
  SCHATTEN_TEST_RULE(EXTERN, Lion, Exec, T, Backend)             \
  EXTERN template class Optimizer<T, Exec, linalg::Backend>;
/// What the optimizers of a scalar share, whatever their backend.
#define SCHATTEN_TEST_OPTIMIZER_CORE(EXTERN, Exec, T)                \
  EXTERN template class optim::OptimizerState<T, Exec>;              \
  EXTERN template class optim::OptimizerCore<T, Exec>;               \
  EXTERN template spectral::MethodChoice spectral::choose_method<T>( \
      const SpectralPowerOptions&, const spectral::Capabilities&, spectral::FitCaches&);

#if defined(SCHATTEN_ENABLE_BLAS)
#define SCHATTEN_TEST_DEFAULT_BACKEND BlasBackend
#else
#define SCHATTEN_TEST_DEFAULT_BACKEND EigenBackend
#endif
#define SCHATTEN_TEST_OPTIMIZERS_FLOAT(EXTERN)                \
  SCHATTEN_TEST_OPTIMIZER_CORE(EXTERN, Kokkos::OpenMP, float) \
  SCHATTEN_TEST_OPTIMIZER(EXTERN, Kokkos::OpenMP, float, SCHATTEN_TEST_DEFAULT_BACKEND)
#define SCHATTEN_TEST_OPTIMIZERS_DOUBLE(EXTERN)                \
  SCHATTEN_TEST_OPTIMIZER_CORE(EXTERN, Kokkos::OpenMP, double) \
  SCHATTEN_TEST_OPTIMIZER(EXTERN, Kokkos::OpenMP, double, SCHATTEN_TEST_DEFAULT_BACKEND)
#define SCHATTEN_TEST_OPTIMIZERS_PORTABLE(EXTERN) \
  SCHATTEN_TEST_OPTIMIZER(EXTERN, Kokkos::OpenMP, double, PortableBackend)

#if defined(KOKKOS_ENABLE_OPENMP) && !defined(SCHATTEN_ENABLE_CUDA)
namespace schatten {

SCHATTEN_TEST_OPTIMIZERS_FLOAT(extern)
SCHATTEN_TEST_OPTIMIZERS_DOUBLE(extern)
SCHATTEN_TEST_OPTIMIZERS_PORTABLE(extern)

}  // namespace schatten
#endif
