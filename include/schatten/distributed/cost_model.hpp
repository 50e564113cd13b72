// SPDX-License-Identifier: BSD-3-Clause
// The time of a step of n×n or m×n weights over ranks, from latency, bandwidth and flops (docs/distributed.md).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace schatten::distributed {

/// A rank, and the network between ranks.
struct RankSpeed {
  double flops = 1e13;        ///< flops of products per second
  double latency = 1e-5;      ///< seconds per message, without its bytes
  double bandwidth = 2.5e10;  ///< bytes per second that a rank sends
};

/// `count` weights of m×n elements of `bytes` bytes, updated by N ranks.
struct RankProblem {
  double count;        ///< number of weights
  double m;            ///< rows
  double n;            ///< columns
  double bytes;        ///< bytes per element
  double ranks;        ///< N
  double poles = 4;    ///< of the function of the Gram matrix, n³ flops each
  double fixed = 1.2;  ///< flops of the function beside its poles, over n³

  /// Flops of the function of one matrix, over n³.
  [[nodiscard]] double function() const { return fixed + poles; }
  /// Flops of the busiest rank over n³, if `together` ranks share the poles of a matrix.
  [[nodiscard]] double function_by(double together) const {
    return std::ceil(count / std::floor(ranks / together)) * (fixed + std::ceil(poles / together));
  }
  /// The number of ranks, at most one per pole, for which function_by is least; the smallest of them.
  [[nodiscard]] double ranks_of_function() const {
    double best = 1;
    for (double k = 2; k <= (std::min)(poles, ranks); ++k) best = function_by(k) < function_by(best) ? k : best;
    return best;
  }
};

/// Seconds of a step, without the parts that are equal for all ways (gradients, elements).
struct RankCost {
  RankSpeed speed;  ///< of a rank and the network
  /// Flops of the map by four poles: Gram matrix n²m, function 5.2n³, product 2n²m; n the short side.
  static double map_flops(double m, double n) {
    const double s = (std::min)(m, n), l = (std::max)(m, n);
    return 3 * s * s * l + 5.2 * s * s * s;
  }
  /// Seconds of an all-reduce of that many bytes on a ring, or of a reduce-scatter and an all-gather.
  [[nodiscard]] double all_reduce(double bytes, double ranks) const {
    return 2 * (ranks - 1) / ranks * bytes / speed.bandwidth + 2 * std::log2(ranks) * speed.latency;
  }
  /// Seconds of an all-gather, half of those of all_reduce.
  [[nodiscard]] double gather(double bytes, double ranks) const { return 0.5 * all_reduce(bytes, ranks); }

  /// Every rank updates every weight.
  [[nodiscard]] double duplicated(const RankProblem& p) const { return p.count * map_flops(p.m, p.n) / speed.flops; }
  /// Owners update whole weights, which all ranks have (Optimizer): ⌈count/N⌉ maps, a gather of all weights.
  [[nodiscard]] double owners(const RankProblem& p) const {
    return std::ceil(p.count / p.ranks) * map_flops(p.m, p.n) / speed.flops +
           gather(p.count * p.m * p.n * p.bytes, p.ranks);
  }
  /// Weights are divided between ranks and assembled at owners (AssembledOptimizer): two all-to-alls of a rank's 1/N.
  [[nodiscard]] double assembled(const RankProblem& p) const {
    const double shard = p.count * p.m * p.n * p.bytes / p.ranks;
    return std::ceil(p.count / p.ranks) * map_flops(p.m, p.n) / speed.flops +
           2 * ((p.ranks - 1) / p.ranks * shard / speed.bandwidth + (p.ranks - 1) * speed.latency);
  }
  /// Every rank has rows of every weight (ShardedPower): one all-reduce of n(n+1)/2 doubles per weight, n the whole
  /// side.
  [[nodiscard]] double one_sum(const RankProblem& p, bool shared) const {
    const double function = (shared ? std::ceil(p.count / p.ranks) : p.count) * p.function();
    return (p.count * 3 * p.n * p.n * p.m / p.ranks + function * p.n * p.n * p.n) / speed.flops +
           all_reduce(p.count * 4 * p.n * (p.n + 1), p.ranks);
  }
  /// As one_sum, with the poles of every weight divided between ranks (Functions::poles) and a second all-reduce of
  /// n(n+1)/2 numbers.
  [[nodiscard]] double two_sums(const RankProblem& p) const {
    const double function = p.function_by(p.ranks_of_function());
    return (p.count * 3 * p.n * p.n * p.m / p.ranks + function * p.n * p.n * p.n) / speed.flops +
           all_reduce(p.count * 4 * p.n * (p.n + 1), p.ranks) +
           all_reduce(p.count * 0.5 * p.n * (p.n + 1) * p.bytes, p.ranks);
  }
  /// As one_sum, for quintics: per step an all-reduce of the lower triangle of an n×n matrix, of which every rank
  /// computes a polynomial.
  [[nodiscard]] double quintics(const RankProblem& p, double steps = 5) const {
    return steps * (p.count * (3 * p.n * p.n * p.m / p.ranks + p.n * p.n * p.n) / speed.flops +
                    all_reduce(p.count * 0.5 * p.n * (p.n + 1) * p.bytes, p.ranks));
  }
};

}  // namespace schatten::distributed
