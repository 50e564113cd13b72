// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Random matrices of many kinds, most of them made to break a promise.

#include "support/exact_map.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace schatten::adversary {

using test::Plain;

/// Numbers from a seed; the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return std::size_t(engine_() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  double uniform() { return double(engine_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double log_uniform(double low, double high) { return low * std::pow(high / low, uniform()); }
  double sign() { return one_in(2) ? -1.0 : 1.0; }
  double gaussian() {  // Box and Muller
    return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform());
  }
  template <class X, std::size_t n>
  const X& of(const std::array<X, n>& choices) {
    return choices[below(n)];
  }

 private:
  std::mt19937_64 engine_;
};

/// What a matrix is drawn for: the kinds that aim have singular values just at the resolution and at the roundings.
struct Aim {
  double resolution, epsilon;
};

namespace detail {

inline Plain<double> filled(std::size_t rows, std::size_t cols, const std::function<double()>& entry) {
  Plain<double> m{rows, cols};
  std::generate(m.entries.begin(), m.entries.end(), entry);
  return m;
}

/// Entry (i, j) of Hadamard's matrix.
inline double hadamard(std::size_t i, std::size_t j) {
  std::size_t bits = i & j;
  double sign = 1;
  for (; bits != 0; bits &= bits - 1) sign = -sign;
  return sign;
}

/// Gram and Schmidt, twice.
inline void orthonormalize(Plain<double>& q, Random& random) {
  for (std::size_t k = 0; k < q.cols; ++k) {
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t l = 0; l < k; ++l) {
        test::add(-test::dot(q.column(l), q.column(k), q.rows), q.column(l), q.column(k), q.rows);
      }
      double length = std::sqrt(test::dot(q.column(k), q.column(k), q.rows));
      while (length < 1e-3) {  // the columns before it span it
        for (std::size_t i = 0; i < q.rows; ++i) q(i, k) = random.gaussian();
        length = std::sqrt(test::dot(q.column(k), q.column(k), q.rows));
        pass = -1;
      }
      for (std::size_t i = 0; i < q.rows; ++i) q(i, k) /= length;
    }
  }
}

/// k orthonormal columns of length m: of a Gaussian matrix, coordinates, Hadamard's, a constant one first, or turned in
/// pairs of coordinates. @pre k <= m
inline Plain<double> orthonormal(std::size_t m, std::size_t k, Random& random) {
  Plain<double> q{m, k};
  std::vector<std::size_t> place(m);
  std::iota(place.begin(), place.end(), std::size_t{0});
  for (std::size_t i = m; i > 1; --i) std::swap(place[i - 1], place[random.below(i)]);
  switch (random.below(6)) {
    case 0:
      for (std::size_t j = 0; j < k; ++j) q(place[j], j) = random.sign();
      return q;
    case 1:
      for (std::size_t j = 0; j < k; ++j) {
        for (std::size_t i = 0; i < m; ++i) q(i, j) = hadamard(i, j);
      }
      break;
    case 2:
      for (std::size_t j = 0; j < k; ++j) {
        for (std::size_t i = 0; i < m; ++i) q(i, j) = j == 0 ? 1 : random.gaussian();
      }
      break;
    case 3: {
      const double angle = random.one_in(2) ? 0.25 * 3.141592653589793 : random.uniform(0, 3);
      for (std::size_t j = 0; j < k; ++j) {
        const std::size_t partner = j % 2 == 0 ? j + 1 : j - 1;
        q(place[j], j) = std::cos(angle);
        if (partner < m) q(place[partner], j) = (j % 2 == 0 ? 1 : -1) * std::sin(angle);
      }
      break;
    }
    default:
      for (double& x : q.entries) x = random.gaussian();
      break;
  }
  orthonormalize(q, random);
  return q;
}

/// A level of singular values, σ₁ = 1.
inline double level(const Aim& aim, Random& random) {
  switch (random.below(12)) {
    case 0: return 1;
    case 1:
    case 2: return aim.resolution * 1.001;
    case 3: return aim.resolution * 1.000001;
    case 4: return aim.resolution * random.uniform(1, 4);
    case 5: return std::sqrt(aim.resolution);
    case 6: return random.log_uniform(aim.resolution, 1);
    case 7: return aim.resolution * random.log_uniform(1e-3, 1);
    case 8: return aim.epsilon * random.log_uniform(1, 30);
    case 9: return std::sqrt(aim.epsilon) * random.log_uniform(1, 4);
    case 10: return random.log_uniform(aim.epsilon, 1);
    default: return 0;
  }
}

inline std::vector<double> spectrum(std::size_t k, const Aim& aim, Random& random) {
  std::vector<double> sigma(k, 1.0);
  const double one = level(aim, random), two = level(aim, random);
  const std::size_t pattern = random.below(8), cut = 1 + random.below(k), second = cut + random.below(k);
  for (std::size_t j = 1; j < k; ++j) {
    switch (pattern) {
      case 0: sigma[j] = one; break;                                               // a spike over a flat rest
      case 1: sigma[j] = j < cut ? 1 : one; break;                                 // two clusters
      case 2: sigma[j] = j < cut ? 1 : (j < second ? one : two); break;            // three
      case 3: sigma[j] = j < cut ? one : two; break;                               // a spike and two clusters
      case 4: sigma[j] = std::pow(one + 1e-30, double(j) / double(k - 1)); break;  // geometric
      case 5: sigma[j] = level(aim, random); break;
      case 6: sigma[j] = j + 1 < k ? 1 : one; break;
      default: sigma[j] = std::max(1 / double(j + 1), one); break;
    }
    if (pattern == 3 && random.one_in(2)) sigma[j] *= 1 + 1e-7 * double(j);
  }
  return sigma;
}

inline Plain<double> of_spectrum(std::size_t rows, std::size_t cols, const Aim& aim, Random& random) {
  const std::size_t k = std::min(rows, cols);
  const Plain<double> u = orthonormal(rows, k, random), v = orthonormal(cols, k, random);
  const std::vector<double> sigma = spectrum(k, aim, random);
  Plain<double> m{rows, cols};
  for (std::size_t l = 0; l < k; ++l) {
    for (std::size_t j = 0; j < cols; ++j) test::add(sigma[l] * v(j, l), u.column(l), m.column(j), rows);
  }
  return m;
}

inline void scale_rows(Plain<double>& m, double least, Random& random) {
  for (std::size_t i = 0; i < m.rows; ++i) {
    const double factor = random.one_in(3) ? least * 1.001 : random.log_uniform(least, 1);
    for (std::size_t j = 0; j < m.cols; ++j) m(i, j) *= factor;
  }
}

}  // namespace detail

/// A matrix of a random kind.
inline Plain<double> random_matrix(std::size_t rows, std::size_t cols, const Aim& aim, Random& random) {
  using namespace detail;
  const auto gaussian = [&] { return random.gaussian(); };
  const auto least = [&] { return random.one_in(2) ? aim.resolution : random.log_uniform(aim.epsilon, 1); };
  switch (random.below(26)) {
    case 0: return filled(rows, cols, gaussian);
    case 1: return filled(rows, cols, [&] { return random.sign(); });
    case 2: {  // of Hadamard, one entry or one row changed
      Plain<double> m{rows, cols};
      for (std::size_t j = 0; j < cols; ++j) {
        for (std::size_t i = 0; i < rows; ++i) m(i, j) = hadamard(i, j);
      }
      if (random.one_in(2)) m(random.below(rows), random.below(cols)) *= 1 + least();
      return m;
    }
    case 3: {  // a few entries
      Plain<double> m{rows, cols};
      for (std::size_t left = 1 + random.below(rows + cols); left > 0; --left) {
        m(random.below(rows), random.below(cols)) = random.sign() * (random.one_in(2) ? 1 : level(aim, random));
      }
      return m;
    }
    case 4: {  // nearly constant
      const double spread = least();
      return filled(rows, cols, [&] { return 0.3 + spread * random.gaussian(); });
    }
    case 5: return filled(rows, cols, [&] { return random.sign() * std::pow(1 - random.uniform(), -2.0); });
    case 6: {
      Plain<double> m = filled(rows, cols, gaussian);
      scale_rows(m, least(), random);
      return m;
    }
    case 7: {
      Plain<double> m = filled(cols, rows, gaussian);
      scale_rows(m, least(), random);
      return test::transposed(m);
    }
    case 8: {
      Plain<double> m = filled(rows, cols, gaussian);
      scale_rows(m, least(), random);
      m = test::transposed(m);
      scale_rows(m, least(), random);
      return test::transposed(m);
    }
    case 9: {  // of low rank, by whole numbers: exactly
      const std::size_t rank = 1 + random.below(std::min(rows, cols));
      const auto digit = [&] { return double(random.below(5)) - 2; };
      const Plain<double> a = filled(rows, rank, digit), b = filled(cols, rank, digit);
      Plain<double> m{rows, cols};
      for (std::size_t l = 0; l < rank; ++l) {
        for (std::size_t j = 0; j < cols; ++j) test::add(b(j, l), a.column(l), m.column(j), rows);
      }
      return m;
    }
    case 10: {  // columns repeated, some of them nearly
      Plain<double> m = filled(rows, cols, gaussian);
      const double apart = random.one_in(2) ? 0 : least();
      for (std::size_t j = 1; j < cols; ++j) {
        if (random.one_in(3)) continue;
        const std::size_t from = random.below(j);
        for (std::size_t i = 0; i < rows; ++i) m(i, j) = m(i, from) + apart * random.gaussian();
      }
      return m;
    }
    case 11: return filled(rows, cols, [&] { return random.one_in(4) ? random.gaussian() : 0.0; });
    case 12: {  // the identity and a little of something
      Plain<double> m = filled(rows, cols, [x = least(), &random] { return x * random.gaussian(); });
      for (std::size_t k = 0; k < std::min(rows, cols); ++k) m(k, k) += random.one_in(3) ? aim.resolution : 1.0;
      return m;
    }
    case 13: {  // Kahan's triangle
      const double angle = random.uniform(0.1, 1.5), sine = std::sin(angle), cosine = std::cos(angle);
      Plain<double> m{rows, cols};
      for (std::size_t j = 0; j < cols; ++j) {
        for (std::size_t i = 0; i < std::min(rows, j + 1); ++i) {
          m(i, j) = std::pow(sine, double(i)) * (i == j ? 1 : -cosine);
        }
      }
      return m;
    }
    case 14: return filled(rows, cols, [&] { return random.sign() * level(aim, random); });
    case 15: return filled(rows, cols, [&] { return std::exp2(-double(random.below(24))); });
    default: return of_spectrum(rows, cols, aim, random);
  }
}

}  // namespace schatten::adversary
