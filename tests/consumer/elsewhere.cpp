// SPDX-License-Identifier: BSD-3-Clause
// A second source of a program, which a unity build puts behind main.cpp.
#include <schatten/interop/pointers.hpp>
#include <schatten/schatten.hpp>

std::size_t rows_of_a_view();
std::size_t rows_of_a_view() {
  float memory[6] = {};
  return schatten::matrix_view(static_cast<const float*>(memory), 2, 3).extent(0);
}
