// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Singular values that expose mistakes: what the tests and the tables of bench/accuracy measure.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

namespace schatten::test {

/// The largest one is 1, the smallest `lowest`, where the spectrum has one.
enum class Spectrum { geometric, harmonic, halves, one_small, one_large, clustered, root, half_rank };

inline std::string to_string(Spectrum spectrum) {
  switch (spectrum) {
    case Spectrum::geometric: return "geometric";
    case Spectrum::harmonic: return "harmonic";
    case Spectrum::halves: return "halves";
    case Spectrum::one_small: return "one small";
    case Spectrum::one_large: return "one large";
    case Spectrum::clustered: return "clustered";
    case Spectrum::root: return "root";
    case Spectrum::half_rank: return "half rank";
  }
  return "?";
}

/// σ_k of n, k = 0, 1, …, descending.
inline double singular_value(Spectrum spectrum, std::size_t k, std::size_t n, double lowest) {
  const double place = n == 1 ? 0.0 : double(k) / double(n - 1);
  switch (spectrum) {
    case Spectrum::geometric: return std::pow(lowest, place);
    case Spectrum::harmonic: return std::max(1.0 / double(k + 1), lowest);
    case Spectrum::halves: return 2 * k < n ? 1.0 : lowest;
    case Spectrum::one_small: return k + 1 < n ? 1.0 : lowest;
    case Spectrum::one_large: return k == 0 ? 1.0 : lowest;
    case Spectrum::clustered:  // four clusters, equal values but for 1e-7 inside each
      return std::pow(lowest, std::floor(4 * place * 0.999) / 3) * (1 - 1e-7 * place);
    case Spectrum::root: return 1 / std::sqrt(double(k + 1));
    case Spectrum::half_rank: return 2 * k < n ? std::pow(0.1, place) : 0.0;
  }
  return 0;
}

}  // namespace schatten::test
