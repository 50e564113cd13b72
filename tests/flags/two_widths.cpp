// SPDX-License-Identifier: BSD-3-Clause
// Compiled twice, for processors with registers of different widths, into one program. DECOMPOSE is the function's
// name.
#include <schatten/interop/pointers.hpp>
#include <schatten/linalg/gemm.hpp>
#include <schatten/linalg/svd.hpp>

#include <cstddef>
#include <vector>

/// Singular values of `a` (rows×cols, contiguous rows), and of AᵀA by a product of Eigen.
void DECOMPOSE(const std::vector<float>& a, std::size_t rows, std::size_t cols, std::vector<float>& sigma,
               std::vector<float>& gram);
void DECOMPOSE(const std::vector<float>& a, std::size_t rows, std::size_t cols, std::vector<float>& sigma,
               std::vector<float>& gram) {
  using namespace schatten;
  const Kokkos::DefaultHostExecutionSpace exec;
  Workspace<Kokkos::HostSpace> workspace;
  const auto matrix = matrix_view(a.data(), rows, cols);
  linalg::gemm<linalg::EigenBackend>(exec, 1.0F, matrix_view(a.data(), cols, rows, 1, cols), matrix, 0.0F,
                                     matrix_view(gram.data(), cols, cols), workspace);
  std::vector<float> u(rows * cols), vt(cols * cols);
  linalg::svd<linalg::EigenBackend>(exec, matrix, matrix_view(u.data(), rows, cols), vector_view(sigma.data(), cols),
                                    matrix_view(vt.data(), cols, cols), workspace);
}
