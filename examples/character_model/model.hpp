// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// A causal character-level language model with manual backpropagation, in plain Eigen.
//
//   x    = E[:, character]                                   E: width x symbols
//   x   += W_down relu(W_up shift(normalise(x)))^2           each block; W_up, W_down: width x width
//   logits = W_out normalise(x)                              W_out: symbols x width
//
// normalise is RMSNorm without gain; shift (columns.hpp) brings earlier characters into reach: a
// prediction sees 1 + sum over the blocks of (groups - 1) dilation characters, 34 with the shifts
// below. Activations are (width x positions), positions = sequences * length.

#include "batch.hpp"
#include "columns.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace character_model {

enum class Role { hidden, other };

template <class Scalar>
struct Parameter {
  std::string name;
  Role role = Role::hidden;
  Matrix<Scalar> value;
  Matrix<Scalar> gradient;
  const Matrix<Scalar>* input = nullptr;  // of hidden ones: what they multiplied last, width x positions
};

struct ModelShape {
  int symbols = 98;
  int width = 512;
  std::vector<Shift> blocks = {{4, 1}, {4, 2}, {4, 8}};
};

template <class Scalar>
class Model {
 public:
  Model(const ModelShape& shape, std::uint64_t seed);
  Model(const Model&) = delete;  // the blocks point into parameters_
  Model& operator=(const Model&) = delete;

  // Mean cross-entropy of the targets in nats.
  double loss(const Batch& batch);

  // The same, and every Parameter::gradient overwritten with its derivative.
  double loss_and_gradients(const Batch& batch);

  // Replaces the batch's targets by characters drawn from the model's predictions.
  void sample_targets(Batch& batch, std::mt19937_64& random);

  // The list and the memory of its matrices stay where they are as long as the model lives.
  std::vector<Parameter<Scalar>>& parameters() { return parameters_; }

 private:
  // What the backward pass of one block reads.
  struct Block {
    Shift shift;
    Parameter<Scalar>* up = nullptr;
    Parameter<Scalar>* down = nullptr;
    Matrix<Scalar> normalised, shifted, rectified, squared;  // width x positions
    RowVector<Scalar> inverse_rms;
  };

  void reserve(const Batch& batch);
  double forward(const Batch& batch, bool want_gradient);
  void backward(const Batch& batch);

  ModelShape shape_;
  std::vector<Parameter<Scalar>> parameters_;
  Parameter<Scalar>* embedding_ = nullptr;
  Parameter<Scalar>* output_ = nullptr;
  std::vector<Block> blocks_;
  Matrix<Scalar> x_, normalised_, logits_;   // width, width, symbols x positions
  Matrix<Scalar> dx_, dwide_, dnormalised_;  // width x positions
  RowVector<Scalar> inverse_rms_, losses_;
};

extern template class Model<float>;
extern template class Model<double>;

}  // namespace character_model
