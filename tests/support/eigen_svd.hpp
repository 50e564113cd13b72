// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Eigen's decompositions compile for about 20 s a scalar type: eigen_svd.cpp instantiates them once for all tests.

#include <schatten/linalg/backend/eigen_decomposition.hpp>

namespace schatten::linalg::backend {

extern template bool eigen_svd<float>(std::ptrdiff_t, std::ptrdiff_t, float*, float*, float*, float*, bool);
extern template bool eigen_svd<double>(std::ptrdiff_t, std::ptrdiff_t, double*, double*, double*, double*, bool);
extern template bool eigen_eigh<float>(std::ptrdiff_t, float*, float*);
extern template bool eigen_eigh<double>(std::ptrdiff_t, double*, double*);

}  // namespace schatten::linalg::backend
