// SPDX-License-Identifier: BSD-3-Clause
// Compiled only: other prototypes of BLAS' and LAPACK's symbols, Eigen's and LAPACKE's, beside ours. No library is
// needed.
#define EIGEN_USE_BLAS
#define EIGEN_USE_LAPACKE
#include <schatten/linalg/backend/blas.hpp>

#include <Eigen/Cholesky>  // with Eigen's <lapacke.h>

[[maybe_unused]] constexpr auto ours = schatten::linalg::backend::Fortran<float>::gemm;
