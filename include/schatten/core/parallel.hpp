// Loops over the matrices, rows and elements of a batch: the only kernels' shapes that the library uses.
//
// Bodies are named functors (a lambda may not stand in every place that CUDA compiles) with a KOKKOS_FUNCTION
// call operator. All loops are asynchronous on `exec`; nothing fences.
#pragma once

#include <schatten/core/concepts.hpp>

#include <cstddef>
#include <string>

namespace schatten {

namespace detail {

template <class Body>
struct RowLoop {
  Body body;
  std::size_t rows;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { body(k / rows, k % rows); }
};

/// On the host a thread takes a row and runs along it, so that the compiler vectorises the inner loop.
template <class Body>
struct ElementLoopByRow {
  Body body;
  std::size_t cols;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    for (std::size_t j = 0; j < cols; ++j) body(b, i, j);
  }
};

/// On a device neighbouring threads take neighbouring columns, so that memory accesses coalesce.
template <class Body>
struct ElementLoopByColumn {
  Body body;
  std::size_t rows, cols;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { body(k / (rows * cols), k / cols % rows, k % cols); }
};

}  // namespace detail

/// body(b) for every matrix b of a batch.
template <ExecutionSpace Exec, class Body>
void for_each_matrix(const Exec& exec, const std::string& label, std::size_t batch, const Body& body) {
  if (batch == 0) return;
  Kokkos::parallel_for(
      label, Kokkos::RangePolicy<Exec, Kokkos::Schedule<Kokkos::Dynamic>>(exec, 0, batch).set_chunk_size(1), body);
}

/// body(b, i) for every row i of every matrix b.
template <ExecutionSpace Exec, class Body>
void for_each_row(const Exec& exec, const std::string& label, std::size_t batch, std::size_t rows, const Body& body) {
  if (batch * rows == 0) return;
  Kokkos::parallel_for(label, Kokkos::RangePolicy<Exec>(exec, 0, batch * rows), detail::RowLoop<Body>{body, rows});
}

/// body(b, i, j) for every element. The last index should be the one that is contiguous in memory.
template <ExecutionSpace Exec, class Body>
void for_each_element(const Exec& exec, const std::string& label, std::size_t batch, std::size_t rows, std::size_t cols,
                      const Body& body) {
  if (batch * rows * cols == 0) return;
  if constexpr (is_host_execution_space<Exec>) {
    for_each_row(exec, label, batch, rows, detail::ElementLoopByRow<Body>{body, cols});
  } else {
    Kokkos::parallel_for(label, Kokkos::RangePolicy<Exec>(exec, 0, batch * rows * cols),
                         detail::ElementLoopByColumn<Body>{body, rows, cols});
  }
}

}  // namespace schatten
