// SPDX-License-Identifier: BSD-3-Clause
// A parameter in the form that steps use: a batch of matrices, for all ranks and element types of the user's Views.
#pragma once

#include <schatten/optim/typed_batch.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace schatten::optim {

/// A registered parameter, or a part of one whose blocks have different sizes. weight and gradient have the user's rows
/// and columns.
struct Parameter {
  std::string name;     ///< of a part: "qkv[0]"
  std::string whole;    ///< the name that the user gave; the same if there are no parts
  std::string extents;  ///< of the user's View, for messages
  std::vector<std::size_t>
      shape{};  ///< the same as numbers; of a part: (rows, cols), of several matrices (matrices, rows, cols)
  int rank = 0;
  ParameterOptions options{};
  TypedBatch weight, gradient{};
  StridedArray weight_memory, gradient_memory{};
  bool has_gradient = false, paused = false;
  std::shared_ptr<const void> weight_owner{}, gradient_owner{};  ///< keep the user's Views alive

  std::size_t group = 0, bucket = 0;  ///< numbers of its group and bucket
  std::size_t place = 0;              ///< number of its first matrix in the bucket
  std::size_t first_matrix = 0;       ///< number of its first matrix among all matrices of the Optimizer
  bool transposed = false;            ///< whether the bucket's rows are the user's columns
  std::uint64_t key = 0;              ///< key of the random bits of stochastic rounding
  double decay_factor = 1;            ///< factor of the group's weight decay

  [[nodiscard]] std::size_t matrices() const { return weight.batch; }
  [[nodiscard]] std::size_t rows() const { return weight.rows; }
  [[nodiscard]] std::size_t cols() const { return weight.cols; }
  /// Whether steps update it.
  [[nodiscard]] bool active() const { return has_gradient && !paused; }
  /// Returns the array in the bucket's orientation.
  [[nodiscard]] TypedBatch oriented(const TypedBatch& a) const { return transposed ? a.transposed() : a; }
  /// Whether the weight has 16 bits.
  [[nodiscard]] bool reduced() const { return size_of(weight.type) == 2; }
  [[nodiscard]] bool has_master() const { return reduced() && options.reduced_weight == ReducedWeight::master_copy; }
  [[nodiscard]] bool stochastic() const {
    return reduced() && options.reduced_weight == ReducedWeight::stochastic_rounding;
  }
};

}  // namespace schatten::optim
