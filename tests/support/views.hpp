// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Views of every layout to test with, and their exchange with Eigen's double matrices, in which tests compute.

#include <schatten/core/views.hpp>

#include <Eigen/Core>
#include <Kokkos_Core.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>

namespace schatten::test {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

/// Where tests keep their Views: memory that the host and every execution space under test read. With a device, what
/// the host reads is there once the execution space has been fenced.
#if defined(KOKKOS_ENABLE_CUDA)
using TestSpace = Kokkos::CudaHostPinnedSpace;
#else
using TestSpace = Kokkos::HostSpace;
#endif

/// The layouts that users pass.
enum class Storage {
  right,     ///< LayoutRight
  left,      ///< LayoutLeft
  window,    ///< ranges of a larger LayoutRight array: gaps between the rows
  scattered  ///< every third element of a larger array: no unit stride
};

inline std::string to_string(Storage storage) {
  switch (storage) {
    case Storage::right: return "right";
    case Storage::left: return "left";
    case Storage::window: return "window";
    case Storage::scattered: return "scattered";
  }
  return "?";
}

template <class T>
void fill(const Kokkos::View<T****, Kokkos::LayoutRight, TestSpace>& v, T value) {
  for (std::size_t k = 0; k < v.size(); ++k) v.data()[k] = value;
}

/// What surrounds a window or scattered View; a test that writes the View must leave it as it is.
inline constexpr double surrounding = -77.5;

/// A rank-3 View (batch, rows, cols) of the type and strides that `storage` names, and the memory around it.
template <class T, Storage storage>
class Batch {
  using Parent = Kokkos::View<T****, Kokkos::LayoutRight, TestSpace>;
  static auto make(const Parent& parent, std::size_t batch, std::size_t rows, std::size_t cols) {
    using Range = std::pair<std::size_t, std::size_t>;
    if constexpr (storage == Storage::right) {
      return Kokkos::View<T***, Kokkos::LayoutRight, TestSpace>(label("right"), batch, rows, cols);
    } else if constexpr (storage == Storage::left) {
      return Kokkos::View<T***, Kokkos::LayoutLeft, TestSpace>(label("left"), batch, rows, cols);
    } else if constexpr (storage == Storage::window) {
      return Kokkos::subview(parent, Range(0, batch), Range(1, 1 + rows), Range(2, 2 + cols), 0);
    } else {
      return Kokkos::subview(parent, Range(0, batch), Range(1, 1 + rows), Range(2, 2 + cols), 1);
    }
  }
  static auto label(const std::string& name) {  // not initialised: that would be a parallel region each time
    return Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::test::" + name);
  }
  static std::size_t depth() { return storage == Storage::scattered ? 3 : 1; }

 public:
  Batch(std::size_t batch, std::size_t rows, std::size_t cols)
      : parent_(label("parent"), batch, rows + 2, cols + 3, depth()), view_(make(parent_, batch, rows, cols)) {
    fill(parent_, T(surrounding));
    fill_elements();
  }

  /// The View of rank 3.
  [[nodiscard]] const auto& view() const { return view_; }
  /// Matrix `k`, a View of rank 2.
  [[nodiscard]] auto matrix(std::size_t k = 0) const { return Kokkos::subview(view_, k, Kokkos::ALL, Kokkos::ALL); }
  /// Whether the memory between and around the elements is as it was. Overwrites the elements.
  [[nodiscard]] bool surroundings_intact() const {
    fill_elements();
    for (std::size_t k = 0; k < parent_.size(); ++k) {
      if (parent_.data()[k] != T(surrounding)) return false;
    }
    return true;
  }

 private:
  void fill_elements() const {
    for (std::size_t b = 0; b < view_.extent(0); ++b) {
      for (std::size_t i = 0; i < view_.extent(1); ++i) {
        for (std::size_t j = 0; j < view_.extent(2); ++j) view_(b, i, j) = T(surrounding);
      }
    }
  }

  Parent parent_;
  decltype(make(Parent{}, 0, 0, 0)) view_;
};

/// View (rank 2) ← matrix.
template <class V>
void assign(const V& view, const Matrix& matrix) {
  for (std::size_t i = 0; i < view.extent(0); ++i) {
    for (std::size_t j = 0; j < view.extent(1); ++j) {
      view(i, j) = static_cast<typename V::non_const_value_type>(matrix(Eigen::Index(i), Eigen::Index(j)));
    }
  }
}

/// A View of rank 2 in double.
template <class V>
Matrix to_matrix(const V& view) {
  Matrix matrix(Eigen::Index(view.extent(0)), Eigen::Index(view.extent(1)));
  for (std::size_t i = 0; i < view.extent(0); ++i) {
    for (std::size_t j = 0; j < view.extent(1); ++j) matrix(Eigen::Index(i), Eigen::Index(j)) = double(view(i, j));
  }
  return matrix;
}

/// A matrix as a LayoutRight View.
template <class T>
Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> to_view(const Matrix& matrix) {
  const Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> view(
      Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::test::matrix"), std::size_t(matrix.rows()),
      std::size_t(matrix.cols()));
  assign(view, matrix);
  return view;
}

/// An uninitialised-looking output: NaN throughout, so that what is not written shows.
template <class T>
Kokkos::View<T**, Kokkos::LayoutRight, TestSpace> output_view(std::size_t rows, std::size_t cols) {
  return to_view<T>(Matrix::Constant(Eigen::Index(rows), Eigen::Index(cols), std::numeric_limits<double>::quiet_NaN()));
}

/// The values that `matrix` has after rounding to T.
template <class T>
Matrix rounded(const Matrix& matrix) {
  return matrix.cast<T>().template cast<double>();
}

/// Standard normal entries.
inline Matrix gaussian(std::size_t rows, std::size_t cols, unsigned seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  Matrix matrix{Eigen::Index(rows), Eigen::Index(cols)};
  for (Eigen::Index j = 0; j < matrix.cols(); ++j) {
    for (Eigen::Index i = 0; i < matrix.rows(); ++i) matrix(i, j) = normal(generator);
  }
  return matrix;
}

/// Largest absolute entry; 0 for an empty matrix, NaN or infinity if one is there.
inline double max_abs(const Matrix& matrix) {
  double largest = 0;
  for (Eigen::Index k = 0; k < matrix.size(); ++k) {
    const double x = std::abs(matrix.data()[k]);
    if (!std::isfinite(x)) return x;
    if (x > largest) largest = x;
  }
  return largest;
}

/// Whether every entry is a NaN.
inline bool all_nan(const Matrix& matrix) {
  for (Eigen::Index k = 0; k < matrix.size(); ++k) {
    if (!std::isnan(matrix.data()[k])) return false;
  }
  return true;
}

template <class T>
inline constexpr double epsilon = double(std::numeric_limits<T>::epsilon());

}  // namespace schatten::test
