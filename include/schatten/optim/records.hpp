// Where the matrices of a bucket lie: a record each, in memory that kernels read, so that matrices of many parameters go
// through one launch.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/core/views.hpp>

#include <cstddef>

namespace schatten::optim {

/// One matrix; strides in elements.
template <class T>
struct StridedMatrix {
  T* data = nullptr;
  std::size_t row_stride = 0, col_stride = 0;
  KOKKOS_FUNCTION T& operator()(std::size_t i, std::size_t j) const { return data[i * row_stride + j * col_stride]; }
};

/// Matrix `b` of the batch; none of an empty one.
template <class T, class Space>
StridedMatrix<T> strided_matrix(const BatchView<T, Space>& a, std::size_t b) {
  if (a.size() == 0) return {};
  return {a.data() + b * a.stride(0), std::size_t(a.stride(1)), std::size_t(a.stride(2))};
}

/// A matrix of a parameter with its gradient and state, turned as they are; its number among all of the Optimizer.
template <class T>
struct MatrixRecord {
  StridedMatrix<const T> gradient;
  StridedMatrix<T> weight, momentum, second_moment_root;
  std::size_t number = 0;
  double scale = 1;  ///< what the shape contributes to the learning rate
};

/// What kernels read.
template <class T, class Space>
using Records = NumberBatchView<const MatrixRecord<T>, Space>;

/// The records of one bucket, on the host and where kernels run.
template <class T, ExecutionSpace Exec>
class RecordTable {
 public:
  /// Room for `count` records more; the contents are lost.
  void grow(std::size_t count) {
    table_ = Table(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::records"), table_.extent(0) + count);
    host_ = host_mirror(table_);
    stale_ = true;
  }
  /// The records must be filled again before they are read.
  void invalidate() { stale_ = true; }
  /// fill(k), the record of matrix k, for all k, if something has changed. In order with other work on `exec`.
  template <class Fill>
  void update(const Exec& exec, const Fill& fill) {
    if (!stale_) return;
    for (std::size_t k = 0; k < host_.extent(0); ++k) host_(k) = fill(k);
    if (host_.data() != table_.data()) Kokkos::deep_copy(exec, table_, host_);
    stale_ = false;
  }
  [[nodiscard]] Records<T, typename Exec::memory_space> view() const { return table_; }

 private:
  using Table = Kokkos::View<MatrixRecord<T>*, Kokkos::LayoutRight, typename Exec::device_type>;
  Table table_;
  decltype(host_mirror(Table())) host_;
  bool stale_ = false;
};

}  // namespace schatten::optim
