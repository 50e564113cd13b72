// SPDX-License-Identifier: BSD-3-Clause
// HTMuon, and Muon by the exact polar factor, of weights whose rows or columns are spread over ranks.
#pragma once

#include <schatten/distributed/sharded_power.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/sgd.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::distributed {

namespace detail {

/// d ← factor_k·(matrix `from` of a batch).
template <class T, class Space>
struct StoreScaled {
  BatchView<const T, Space> batch;
  NumberBatchView<double, Space> factor;
  std::size_t from;
  BatchView<T, Space> d;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    d(b, i, j) = T(factor(from + b) * double(batch(from + b, i, j)));
  }
};

/// factor ← what the mode makes of a sum over ranks: ‖D‖_F², or ⟨u, D⟩; `shape`: what the shape contributes.
template <class Space>
struct FactorOfSum {
  NumberBatchView<double, Space> factor;
  ScaleMode mode;
  double power, root, shape;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const double sum = factor(k);
    double value = shape;
    if (root > 0) value = sum > 0 ? root / math::sqrt(sum) : 0.0;
    if (mode == ScaleMode::unit_norm) value = sum > 0 ? math::pow(sum, -power / (1 + power)) : 0.0;
    if (mode == ScaleMode::dual_norm) value = sum > 0 ? math::pow(sum, (1 - power) / (1 + power)) : 0.0;
    factor(k) = value;
  }
};

}  // namespace detail

/// Where a shard belongs: extents of the whole matrix, and which side is spread over ranks.
struct WholeShape {
  std::size_t rows;        ///< of the whole matrix
  std::size_t cols;        ///< of the whole matrix
  Side side = Side::rows;  ///< the side that is distributed over ranks
  friend bool operator==(const WholeShape&, const WholeShape&) = default;
};

/// Steps weights of which every rank holds some rows or columns: HTMuon with sharded momentum and one sum over ranks
/// for all matrices of a shape (ShardedPower). Called by all ranks together, in the same order, with equal names and
/// whole shapes.
///
/// Factors of ScaleMode are those of the whole matrix; norms take a second sum, of one number a matrix. A matrix whose
/// gradient holds a NaN or an infinity on any rank is left out on all. The rule's map must be rational or automatic,
/// its interval 1; there is no floor (docs/optimizer.md). On host execution spaces; a step fences.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class ShardedHTMuon {
 public:
  using Local = schatten::Optimizer<T, Exec, Backend>;  ///< the Optimizer of this rank's shards
  using Space = typename Exec::memory_space;            ///< where weights are

  /// Throws InvalidArgument for numbers that HTMuon refuses, or that are not served here.
  ShardedHTMuon(const Comm& comm, const HTMuon& rule, SumOrder order = SumOrder::library,
                Functions functions = Functions::each_rank)
      : comm_(&comm), rule_(rule), order_(order), functions_(functions) {
    constexpr std::string_view function = "distributed::ShardedHTMuon";
    Local check;
    (void)check.add_group(rule);
    require(rule.map.method == SpectralMethod::automatic || rule.map.method == SpectralMethod::rational, function,
            "method", to_string(rule.map.method), "must be automatic or rational");
    require(rule.interval == 1, function, "interval", rule.interval, "must be 1");
    group_ = local_.add_group(
        SGD{.lr = rule.lr,
            .momentum = {rule.momentum.beta, rule.momentum.nesterov, rule.momentum.kind, rule.momentum.storage},
            .weight_decay = rule.weight_decay,
            .decay = rule.decay});
  }

  /// W, G: Views (rows, cols) of this rank's part, none of whose extents but the sharded one differ from `whole`. All
  /// ranks together. Throws InvalidArgument, RefusedByRank.
  template <KokkosView VW, KokkosView VG>
  void add(const std::string& name, const VW& w, const VG& g, const WholeShape& whole) {
    static_assert(view_rank<VW> == 2 && std::is_same_v<scalar_of<VG>, T>, "schatten: matrices with gradients of T");
    agree(*comm_, "distributed::ShardedHTMuon::add", [&] {
      constexpr std::string_view function = "distributed::ShardedHTMuon::add";
      const bool fits = whole.side == Side::rows ? w.extent(1) == whole.cols && w.extent(0) <= whole.rows
                                                 : w.extent(0) == whole.rows && w.extent(1) <= whole.cols;
      require(fits, function, optim::argument_of("w", name), optim::extents_of(w),
              "must be " + to_string(whole.side) + " of a matrix " + std::to_string(whole.rows) + "x" +
                  std::to_string(whole.cols));
      local_.add(group_, name, w, g);
      return name + " " + std::to_string(whole.rows) + "x" + std::to_string(whole.cols) + " by " +
             to_string(whole.side);
    });
    Set* set = nullptr;
    for (Set& s : sets_) {
      if (s.whole == whole) set = &s;
    }
    if (set == nullptr) {
      const SpectralPowerOptions options{.rows = whole.rows,
                                         .cols = whole.cols,
                                         .power = rule_.power,
                                         .resolution = rule_.map.resolution,
                                         .tolerance = rule_.map.tolerance};
      sets_.push_back(
          {whole, {}, std::make_unique<Map>(*comm_, options, ShardOptions{whole.side, order_, functions_}, fits_)});
      set = &sets_.back();
    }
    set->shards.push_back({name, as_batch<Exec>(g), std::make_shared<VG>(g)});
  }

  /// One step of every matrix. All ranks together.
  void step(const Exec& exec) {
    const std::vector<std::string> skipped = pause_non_finite(exec);
    local_.direction(exec);
    for (Set& set : sets_) map(exec, set, skipped);
    local_.apply(exec);
    for (const std::string& name : skipped) local_.resume(name);
  }

  /// Sets lr.
  void set_lr(double lr) { local_.set_lr(group_, lr); }
  /// Multiplies lr by `factor` from the next step on.
  void set_lr_factor(double factor) { local_.set_lr_factor(group_, factor); }
  /// The Optimizer of this rank's shards: momentum, counts.
  [[nodiscard]] Local& local() { return local_; }

 private:
  using Map = ShardedPower<T, Exec, Backend, Comm>;
  struct Shard {
    std::string name;
    BatchView<const T, Space> gradient;
    std::shared_ptr<const void> owner;
  };
  /// Matrices of one whole shape.
  struct Set {
    WholeShape whole;
    std::vector<Shard> shards;
    std::unique_ptr<Map> map;
  };

  /// Pauses the matrices whose gradient is not finite on some rank; their names.
  std::vector<std::string> pause_non_finite(const Exec& exec) {
    std::vector<std::string> names;
    std::vector<char> bad;
    const typename Workspace<Space>::Frame frame(workspace_);
    for (const Set& set : sets_) {
      for (const Shard& shard : set.shards) {
        const auto largest = workspace_.template numbers<double>(1);
        linalg::max_abs(exec, shard.gradient, largest, workspace_);
        bad.push_back(linalg::is_finite(values_on_host(exec, largest)[0]) ? 0 : 1);  // fences: documented
        names.push_back(shard.name);
      }
    }
    std::vector<char> all(bad.size() * std::size_t(comm_->size()));
    if (!bad.empty()) comm_->exchange(bad.data(), bad.size(), all.data());
    std::vector<std::string> skipped;
    for (std::size_t k = 0; k < names.size(); ++k) {
      bool any = false;
      for (std::size_t r = 0; r < std::size_t(comm_->size()); ++r) any = any || all[r * bad.size() + k] != 0;
      if (any) skipped.push_back(names[k]);
    }
    for (const std::string& name : skipped) local_.pause(name);
    return skipped;
  }

  /// The directions of a set, which are averages of gradients until here, become HTMuon's.
  void map(const Exec& exec, Set& set, const std::vector<std::string>& skipped) {
    const typename Workspace<Space>::Frame frame(workspace_);
    const std::size_t count = set.shards.size();
    // Shards of a rank differ in the sharded side: the longest, the rest zero, which changes no product.
    std::size_t rows = 0, cols = 0;
    for (const Shard& shard : set.shards) {
      rows = (std::max)(rows, shard.gradient.extent(1));
      cols = (std::max)(cols, shard.gradient.extent(2));
    }
    const auto u = workspace_.template batch<T>(count, rows, cols), d = workspace_.template batch<T>(count, rows, cols);
    Kokkos::deep_copy(exec, NumberBatchView<T, Space>(u.data(), u.size()), T(0));
    for (std::size_t k = 0; k < count; ++k) {
      if (std::find(skipped.begin(), skipped.end(), set.shards[k].name) != skipped.end()) continue;
      const BatchView<T, Space> one = local_.direction_of(set.shards[k].name);
      copy_elements(exec, "schatten::distributed/gather", as_const(one), part(u, k, one));
    }
    set.map->apply(exec, u, d);
    const auto factor = workspace_.template numbers<double>(count);
    const double root = optim::fixed_rms(rule_.scale) * std::sqrt(double(set.whole.rows) * double(set.whole.cols));
    if (optim::needs_factor(rule_.scale)) {
      linalg::inner_product(exec, root > 0 ? d : u, d, factor, workspace_);
      sum_over_ranks(exec, *comm_, factor.data(), count, order_, workspace_);
    }
    for_each_matrix(exec, "schatten::distributed/factor", count,
                    detail::FactorOfSum<Space>{factor, rule_.scale, rule_.power, root,
                                               optim::shape_scale(rule_.scale, set.whole.rows, set.whole.cols)});
    for (std::size_t k = 0; k < count; ++k) {
      const BatchView<T, Space> one = local_.direction_of(set.shards[k].name);
      for_each_element(exec, "schatten::distributed/scatter", 1, one.extent(1), one.extent(2),
                       detail::StoreScaled<T, Space>{as_const(d), factor, k, one});
    }
  }
  /// Where a shard lies in a batch of the longest ones.
  static BatchView<T, Space> part(const BatchView<T, Space>& batch, std::size_t k, const BatchView<T, Space>& shard) {
    return block(matrices(batch, k, 1), 0, 0, shard.extent(1), shard.extent(2));
  }

  const Comm* comm_;
  HTMuon rule_;
  SumOrder order_;
  Functions functions_;
  std::shared_ptr<spectral::Fits> fits_ = std::make_shared<spectral::Fits>();
  std::vector<Set> sets_;
  Local local_;
  GroupId group_;
  Workspace<Space> workspace_;
};

}  // namespace schatten::distributed
