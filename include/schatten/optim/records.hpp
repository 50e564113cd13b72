// SPDX-License-Identifier: BSD-3-Clause
// A record for each matrix of a bucket: addresses, strides, types. Kernels read the records, so one launch processes
// the matrices of many parameters.
#pragma once

#include <schatten/core/element_group.hpp>
#include <schatten/core/element_type.hpp>
#include <schatten/core/host_copy.hpp>
#include <schatten/core/views.hpp>
#include <schatten/optim/typed_batch.hpp>

#include <cstddef>
#include <cstdint>

namespace schatten::optim {

/// A matrix of a parameter with its gradient, in the bucket's rows and columns.
struct MatrixRecord {
  TypedMatrix gradient, weight;
  std::size_t number = 0;           ///< number of the matrix among all of the Optimizer
  double scale = 1;                 ///< factor of the learning rate for the shape
  double decay = 1;                 ///< factor of the group's weight decay
  bool stochastic = false;          ///< whether the weight is rounded at random
  std::uint64_t key = 0;            ///< key of the random bits
  std::uint64_t first_element = 0;  ///< number of the matrix's first element in its parameter
};

/// Records in memory that kernels read.
template <class Space>
using Records = NumberBatchView<const MatrixRecord, Space>;

/// Sets observed(k) to the record of matrix k, with a matrix of the caller instead of the gradient.
template <class Space>
struct ObservedRecord {
  Records<Space> records;
  TypedBatch given;  ///< the caller's
  NumberBatchView<MatrixRecord, Space> observed;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    MatrixRecord record = records(k);
    record.gradient = given.matrix(k);
    observed(k) = record;
  }
};

/// Which arrays of a bucket's records a device can read and write in groups (core/element_group.hpp).
struct GroupedArrays {
  bool gradients = false, weights = false;
};

/// The records of one bucket, on the host and in memory that kernels read.
template <ExecutionSpace Exec>
class RecordTable {
 public:
  /// Allocates memory for `count` records; the contents are lost.
  void resize(std::size_t count) {
    table_ = Table(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::records"), count);
    host_ = host_mirror(table_);
    stale_ = true;
  }
  /// Marks the records as outdated: the next `update` fills them again.
  void invalidate() { stale_ = true; }
  /// Sets every record k to fill(k) if the records are outdated. In order with other work on `exec`. rows, cols: of
  /// every matrix.
  template <class Fill>
  void update(const Exec& exec, std::size_t rows, std::size_t cols, const Fill& fill) {
    if (!stale_) return;
    grouped_.gradients = grouped_.weights = rows * cols % group_size == 0;
    for (std::size_t k = 0; k < host_.extent(0); ++k) {
      host_(k) = fill(k);
      grouped_.gradients = grouped_.gradients && is_grouped(host_(k).gradient, cols);
      grouped_.weights = grouped_.weights && is_grouped(host_(k).weight, cols);
    }
    if (host_.data() != table_.data()) Kokkos::deep_copy(exec, table_, host_);
    stale_ = false;
  }
  /// For the records of the last update.
  [[nodiscard]] GroupedArrays grouped() const { return grouped_; }
  /// Records [first, first + count).
  [[nodiscard]] Records<typename Exec::memory_space> view(std::size_t first, std::size_t count) const {
    return Records<typename Exec::memory_space>(table_.data() + first, count);
  }

 private:
  using Table = Kokkos::View<MatrixRecord*, Kokkos::LayoutRight, typename Exec::device_type>;
  Table table_;
  decltype(host_mirror(Table())) host_;
  GroupedArrays grouped_;
  bool stale_ = false;
};

}  // namespace schatten::optim
