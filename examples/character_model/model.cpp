// SPDX-License-Identifier: BSD-3-Clause
#include "model.hpp"

namespace character_model {
namespace {

// In (0, 1).
double uniform(std::mt19937_64& random) { return (double(random() >> 11) + 0.5) * 0x1p-53; }

// std::normal_distribution differs between standard libraries; Box-Muller on the specified
// std::mt19937_64 does not.
template <class Scalar>
void fill_normal(Matrix<Scalar>& matrix, double deviation, std::mt19937_64& random) {
  for (Eigen::Index i = 0; i < matrix.size(); ++i) {
    const double radius = std::sqrt(-2.0 * std::log(uniform(random)));
    const double angle = 6.283185307179586 * uniform(random);
    matrix.data()[i] = Scalar(deviation * radius * std::cos(angle));
  }
}

}  // namespace

template <class Scalar>
Model<Scalar>::Model(const ModelShape& shape, std::uint64_t seed) : shape_(shape) {
  std::mt19937_64 random(seed);
  parameters_.reserve(2 * shape.blocks.size() + 2);  // the pointers below rely on it
  blocks_.reserve(shape.blocks.size());
  const auto add = [&](std::string name, Role role, int rows, int cols, double deviation) {
    auto& parameter = parameters_.emplace_back();
    parameter.name = std::move(name);
    parameter.role = role;
    parameter.value.resize(rows, cols);
    parameter.gradient.setZero(rows, cols);
    fill_normal(parameter.value, deviation, random);
    return &parameter;
  };
  const double hidden = 1.0 / std::sqrt(double(shape.width));
  const double branch = hidden / std::sqrt(2.0 * double(shape.blocks.size()));
  embedding_ = add("embedding", Role::other, shape.width, shape.symbols, 1.0);
  for (std::size_t b = 0; b < shape.blocks.size(); ++b) {
    const std::string name = "blocks." + std::to_string(b);
    auto& block = blocks_.emplace_back();
    block.shift = shape.blocks[b];
    block.up = add(name + ".up", Role::hidden, shape.width, shape.width, hidden);
    block.down = add(name + ".down", Role::hidden, shape.width, shape.width, branch);
    block.up->input = &block.shifted;
    block.down->input = &block.squared;
  }
  output_ = add("output", Role::other, shape.symbols, shape.width, 0.1 * hidden);
}

// Sizes the activations; Eigen allocates only when the number of positions changes.
template <class Scalar>
void Model<Scalar>::reserve(const Batch& batch) {
  const Eigen::Index positions = Eigen::Index(batch.sequences) * batch.length;
  for (auto* wide : {&x_, &normalised_, &dx_, &dwide_, &dnormalised_}) wide->resize(shape_.width, positions);
  logits_.resize(shape_.symbols, positions);
  inverse_rms_.resize(positions);
  losses_.resize(positions);
  for (Block& block : blocks_) {
    for (auto* wide : {&block.normalised, &block.shifted, &block.rectified, &block.squared})
      wide->resize(shape_.width, positions);
    block.inverse_rms.resize(positions);
  }
}

template <class Scalar>
double Model<Scalar>::forward(const Batch& batch, bool want_gradient) {
  reserve(batch);
  for_each_column(x_.cols(), [&](Eigen::Index t) { x_.col(t) = embedding_->value.col(batch.inputs[t]); });
  for (Block& block : blocks_) {
    rms_normalise(x_, block.normalised, block.inverse_rms);
    shift_forward(block.normalised, block.shift, batch.length, block.shifted);
    multiply(block.up->value, block.shifted, block.rectified);
    square_relu(block.rectified, block.squared);
    multiply(block.down->value, block.squared, x_, true);
  }
  rms_normalise(x_, normalised_, inverse_rms_);
  multiply(output_->value, normalised_, logits_);
  cross_entropy(logits_, batch.targets.data(), want_gradient, losses_);
  return losses_.template cast<double>().mean();
}

template <class Scalar>
void Model<Scalar>::backward(const Batch& batch) {
  multiply(logits_, normalised_.transpose(), output_->gradient);
  multiply(output_->value.transpose(), logits_, dx_);
  rms_normalise_backward(dx_, normalised_, inverse_rms_, false, dx_);
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    multiply(dx_, block->squared.transpose(), block->down->gradient);
    multiply(block->down->value.transpose(), dx_, dwide_);
    square_relu_backward(block->rectified, dwide_);
    multiply(dwide_, block->shifted.transpose(), block->up->gradient);
    multiply(block->up->value.transpose(), dwide_, dnormalised_);
    shift_backward(dnormalised_, block->shift, batch.length, dwide_);
    rms_normalise_backward(dwide_, block->normalised, block->inverse_rms, true, dx_);
  }
  embedding_->gradient.setZero();
  for (Eigen::Index t = 0; t < dx_.cols(); ++t) embedding_->gradient.col(batch.inputs[t]) += dx_.col(t);
}

template <class Scalar>
double Model<Scalar>::loss(const Batch& batch) {
  return forward(batch, false);
}

template <class Scalar>
double Model<Scalar>::loss_and_gradients(const Batch& batch) {
  const double loss = forward(batch, true);
  backward(batch);
  return loss;
}

template <class Scalar>
void Model<Scalar>::sample_targets(Batch& batch, std::mt19937_64& random) {
  forward(batch, false);
  for (Eigen::Index t = 0; t < logits_.cols(); ++t) {  // exp(logits - largest)
    const auto weights = logits_.col(t);
    double left = uniform(random) * double(weights.sum());
    Eigen::Index symbol = 0;
    while (symbol + 1 < weights.size() && (left -= double(weights(symbol))) > 0) ++symbol;
    batch.targets[std::size_t(t)] = std::uint8_t(symbol);
  }
}

template class Model<float>;
template class Model<double>;

}  // namespace character_model
