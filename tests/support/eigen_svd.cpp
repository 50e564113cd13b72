// SPDX-License-Identifier: BSD-3-Clause

#include "eigen_svd.hpp"

namespace schatten::linalg::backend {

template bool eigen_svd<float>(std::ptrdiff_t, std::ptrdiff_t, float*, float*, float*, float*, bool);
template bool eigen_svd<double>(std::ptrdiff_t, std::ptrdiff_t, double*, double*, double*, double*, bool);
template bool eigen_eigh<float>(std::ptrdiff_t, float*, float*);
template bool eigen_eigh<double>(std::ptrdiff_t, double*, double*);

}  // namespace schatten::linalg::backend
