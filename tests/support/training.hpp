// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Parameters of any shape and strides, and an Optimizer that steps them under one rule.

#include "optimizer_state.hpp"
#include "spaces.hpp"
#include "views.hpp"
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/optimizer.hpp>

#include <Kokkos_Core.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace schatten::test {

/// A random gradient whose smallest singular value is not small: Gaussian entries and 3√rows on the diagonal. The
/// spectral map of a well-conditioned matrix loses no digits, so that every difference from the reference is a mistake.
inline Matrix conditioned_gaussian(std::size_t rows, std::size_t cols, unsigned seed) {
  Matrix g = gaussian(rows, cols, seed);
  for (Eigen::Index k = 0; k < std::min(g.rows(), g.cols()); ++k) g(k, k) += 3 * std::sqrt(double(rows));
  return g;
}

template <class Optimizer, Rule R>
GroupId add_group(Optimizer& optimizer, const R& rule) {
  return optimizer.add_group(rule);
}

struct Shape {
  std::size_t batch, rows, cols;
  bool vector = false;  ///< one row, given as a View of rank 1
};

/// Elements of a parameter or a gradient, with the strides that `storage` names and memory around them.
template <class E>
class Strided {
  using Memory = Kokkos::View<E*, Kokkos::LayoutRight, TestSpace>;

 public:
  Strided(const Shape& shape, Storage storage) : shape_(shape) {
    const std::size_t depth = storage == Storage::scattered ? 3 : 1, rows = shape.rows, cols = shape.cols;
    std::size_t first = 0;
    col_ = depth;
    row_ = depth * cols;
    if (storage == Storage::window || storage == Storage::scattered) {
      row_ = depth * (cols + 3);
      first = row_ + 2 * depth + depth / 2;
      batch_ = (rows + 2) * row_;
    } else {
      batch_ = rows * row_;
    }
    if (storage == Storage::left) {
      batch_ = 1;
      row_ = shape.batch;
      col_ = shape.batch * rows;
    }
    const std::size_t size = first + (shape.batch - 1) * batch_ + (rows - 1) * row_ + cols * col_ + row_;
    memory_ = Memory(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::test::memory"), size);
    for (std::size_t k = 0; k < size; ++k) memory_(k) = E(surrounding);
    data_ = memory_.data() + first;
  }

  [[nodiscard]] auto view() const {
    const Kokkos::LayoutStride layout(shape_.batch, batch_, shape_.rows, row_, shape_.cols, col_);
    return Kokkos::View<E***, Kokkos::LayoutStride, TestSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>(data_, layout);
  }
  [[nodiscard]] auto vector_view() const {
    const Kokkos::LayoutStride layout(shape_.cols, col_);
    return Kokkos::View<E*, Kokkos::LayoutStride, TestSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>(data_, layout);
  }
  [[nodiscard]] E& at(std::size_t b, std::size_t i, std::size_t j) const {
    return data_[b * batch_ + i * row_ + j * col_];
  }
  void assign(std::size_t b, const Matrix& values) const {
    for (std::size_t i = 0; i < shape_.rows; ++i) {
      for (std::size_t j = 0; j < shape_.cols; ++j) at(b, i, j) = E(values(Eigen::Index(i), Eigen::Index(j)));
    }
  }
  [[nodiscard]] Matrix matrix(std::size_t b) const {
    Matrix values(Eigen::Index(shape_.rows), Eigen::Index(shape_.cols));
    for (std::size_t i = 0; i < shape_.rows; ++i) {
      for (std::size_t j = 0; j < shape_.cols; ++j) values(Eigen::Index(i), Eigen::Index(j)) = double(at(b, i, j));
    }
    return values;
  }
  [[nodiscard]] std::vector<Matrix> matrices() const {
    std::vector<Matrix> all;
    for (std::size_t b = 0; b < shape_.batch; ++b) all.push_back(matrix(b));
    return all;
  }
  /// All the memory, with what is between and around the elements.
  [[nodiscard]] std::vector<unsigned char> bytes() const {
    std::vector<unsigned char> copy(memory_.extent(0) * sizeof(E));
    std::memcpy(copy.data(), memory_.data(), copy.size());
    return copy;
  }
  /// The same with the elements blotted out.
  [[nodiscard]] std::vector<unsigned char> surroundings() const {
    std::vector<unsigned char> copy = bytes();
    for (std::size_t b = 0; b < shape_.batch; ++b) {
      for (std::size_t i = 0; i < shape_.rows; ++i) {
        for (std::size_t j = 0; j < shape_.cols; ++j) {
          std::memset(copy.data() + std::size_t(&at(b, i, j) - memory_.data()) * sizeof(E), 0, sizeof(E));
        }
      }
    }
    return copy;
  }

 private:
  Shape shape_;
  std::size_t batch_ = 0, row_ = 0, col_ = 0;
  Memory memory_;
  E* data_ = nullptr;
};

/// A parameter of a test: its weight and its gradient, and what they begin with. Matrix b is drawn from `seed` + b.
template <class W, class G>
struct TestParameter {
  std::string name;
  Shape shape;
  unsigned seed;
  Strided<W> w;
  Strided<G> g;

  TestParameter(const std::string& its_name, const Shape& its_shape, Storage storage, unsigned its_seed)
      : name(its_name), shape(its_shape), seed(its_seed), w(shape, storage), g(shape, storage) {
    for (std::size_t b = 0; b < shape.batch; ++b) w.assign(b, start(b));
  }
  [[nodiscard]] Matrix start(std::size_t b) const { return gaussian(shape.rows, shape.cols, seed + unsigned(b)); }
  /// The gradient of matrix b in step `number`.
  [[nodiscard]] Matrix gradient(std::size_t b, unsigned number) const {
    return conditioned_gaussian(shape.rows, shape.cols, 1000 * number + seed + unsigned(b));
  }
};

/// An Optimizer with one group under a rule.
template <class T, class Exec = SerialExec, class W = T, class G = W>
class Training {
 public:
  using Tested = Optimizer<T, Exec, linalg::PortableBackend>;

  /// line: a rule, or what a function add_group(optimizer, line) takes.
  template <class Line>
  explicit Training(const Line& line, const OptimizerOptions& options = {})
      : optimizer(options), group(add_group(optimizer, line)) {}

  TestParameter<W, G>& add(const std::string& name, const Shape& shape, Storage storage, unsigned seed,
                           const ParameterOptions& options = {}) {
    TestParameter<W, G>& p = parameters.emplace_back(name, shape, storage, seed);
    if (shape.vector) {
      optimizer.add(group, name, p.w.vector_view(), p.g.vector_view(), options);
    } else {
      optimizer.add(group, name, p.w.view(), p.g.view(), options);
    }
    return p;
  }

  /// Gives every parameter its gradients of step `number`.
  void set_gradients(unsigned number) {
    for (const auto& p : parameters) {
      for (std::size_t b = 0; b < p.shape.batch; ++b) p.g.assign(b, p.gradient(b, number));
    }
  }
  void step() {
    optimizer.step(exec);
    exec.fence();
  }
  void step(unsigned number) {
    set_gradients(number);
    step();
  }
  /// Steps from, from + 1, …, to.
  void steps(unsigned from, unsigned to) {
    for (unsigned number = from; number <= to; ++number) step(number);
  }

  [[nodiscard]] TestParameter<W, G>& at(const std::string& name) {
    for (auto& p : parameters) {
      if (p.name == name) return p;
    }
    throw std::out_of_range(name);
  }
  [[nodiscard]] std::vector<Matrix> weights(const std::string& name) { return at(name).w.matrices(); }
  /// The state arrays of one parameter: "w/momentum", … .
  [[nodiscard]] std::vector<StateArray> state(const std::string& name) {
    std::vector<StateArray> arrays;
    for (const std::string& slot : optimizer.state_names(exec, name)) {
      arrays.push_back({slot, matrices_of(optimizer.read_state(exec, name, slot))});
    }
    return arrays;
  }
  [[nodiscard]] ParameterCounts counts(const std::string& name) {
    for (const ParameterCounts& counts : optimizer.read_counts(exec)) {
      if (counts.name == name) return counts;
    }
    throw std::out_of_range(name);
  }

  Exec exec{};
  Tested optimizer;
  GroupId group;
  std::deque<TestParameter<W, G>> parameters{};
};

}  // namespace schatten::test
