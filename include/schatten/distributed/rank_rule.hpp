// SPDX-License-Identifier: BSD-3-Clause
// A rule for matrices of which every rank has some rows, or some columns. The rule does not change: its bucket
// communicates with the other ranks.
#pragma once

#include <schatten/distributed/sharded_map.hpp>
#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace schatten::distributed {

/// The place of a shard: the extents of the whole matrix, and the side that is distributed over ranks.
struct WholeShape {
  std::size_t rows = 0, cols = 0;
  Side side = Side::rows;
  friend bool operator==(const WholeShape&, const WholeShape&) = default;
};

/// The data that a group of shards of one whole shape shares.
template <class Comm>
struct RankGroup {
  const Comm* comm = nullptr;
  WholeShape whole{};  ///< without rows: not known yet
  SumOrder order = SumOrder::library;
  Functions functions = Functions::each_rank;
  RankSpeed speed{};
};

/// A power and the ranks that have the matrix, for which a map over ranks has a plan.
template <class Comm>
struct RankPower {
  double power;
  RankGroup<Comm> group;
};

namespace detail {

/// flag(k) ← whether matrix k is finite, or the flag of matrix k is cleared where flag(k) is 0.
template <class Space>
struct MoveFlag {
  optim::FiniteFlags<Space> finite;
  NumberBatchView<int, Space> flag;
  bool back;
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    if (!back) {
      flag(k) = finite(k) ? 1 : 0;
    } else if (flag(k) == 0) {
      finite.clear(k);
    }
  }
};

}  // namespace detail

/// A Bucket of shards. All ranks have the same number of shards in the same order. Norms, maps, factors, the sizes for
/// the floor and the check for finite gradients are those of the whole matrices; all ranks call these functions
/// together.
template <class Base, class Rule>
class RankBucket : public Base {
  using Exec = std::remove_cvref_t<decltype(std::declval<const Base&>().exec())>;

 public:
  using Base::Base;
  using Base::map;
  static constexpr bool over_ranks = true;

  /// @pre the rule lives as long as the bucket.
  void set_rule(const Rule& rule) { rule_ = &rule; }

  [[nodiscard]] auto parts() const {
    const auto& group = rule_->group;
    const WholeShape& whole = group.whole;
    return RankParts<Exec, std::remove_cvref_t<decltype(*group.comm)>>{
        group.comm,
        group.order,
        &this->workspace(),
        whole.side == Side::rows ? whole.rows : whole.cols,
        double(whole.rows) * double(whole.cols),
        std::is_same_v<typename Base::Scalar, double>};
  }
  [[nodiscard]] std::pair<std::size_t, std::size_t> whole_shape() const {
    return {rule_->group.whole.rows, rule_->group.whole.cols};
  }
  [[nodiscard]] bool cuts_rows() const { return rule_->group.whole.side == Side::columns; }
  [[nodiscard]] bool cuts_columns() const { return rule_->group.whole.side == Side::rows; }

  /// Checks the gradients of all ranks. If a matrix is not finite on one rank, all ranks skip it.
  void check() {
    if (this->checked()) return;
    Base::check();
    const typename Workspace<typename Base::Space>::Frame frame(this->workspace());
    const std::size_t count = this->matrices();
    const auto flag = this->workspace().template numbers<int>(count);
    using Move = detail::MoveFlag<typename Base::Space>;
    for_each_matrix(this->exec(), "schatten::distributed/finite", count, Move{this->finite(), flag, false});
    reduce(flag, detail::Smaller{});
    for_each_matrix(this->exec(), "schatten::distributed/finite", count, Move{this->finite(), flag, true});
  }
  template <class Maker, class Sink, std::size_t n>
  void over_gradients(std::string_view label, const Maker& maker, const Sink& sink,
                      const std::array<std::size_t, n>& slots, bool notes_size = false) {
    check();
    Base::over_gradients(label, maker, sink, slots, notes_size);
  }
  template <class Maker, std::size_t n>
  [[nodiscard]] typename Base::Numbers norms(const Maker& maker, const std::array<std::size_t, n>& slots) {
    check();
    const auto norm = Base::norms(maker, slots);
    parts().norms(this->exec(), norm.data(), this->matrices());
    return norm;
  }
  void map(double power, const MapOptions& options, const typename Base::Batch& u, const typename Base::Batch& out) {
    using Comm = std::remove_cvref_t<decltype(*rule_->group.comm)>;
    this->plan(RankPower<Comm>{power, rule_->group}, options).apply(this->exec(), u, out, this->workspace());
  }
  void scale(ScaleMode mode, double power, const typename Base::Batch& u, const typename Base::Batch& out) {
    if (!optim::needs_factor(mode)) return;
    optim::direction_scale(this->exec(), mode, power, as_const(u), as_const(out), this->overwritten_factor(),
                           this->workspace(), parts());
  }
  void apply_floor(std::size_t recent) {
    if (this->averaged()) reduce(this->largest(), detail::Larger{});
    Base::apply_floor(recent);
  }
  void note_sizes(std::size_t recent, double beta) {
    reduce(this->largest(), detail::Larger{});
    Base::note_sizes(recent, beta);
  }

 private:
  template <class Numbers, class F>
  void reduce(const Numbers& x, const F& f) const {
    detail::reduce_over_ranks(this->exec(), *rule_->group.comm, x.data(), x.extent(0), f, this->workspace());
  }

  const Rule* rule_ = nullptr;
};

/// The rule R on shards of one whole shape. Matrices are not transposed, so that all ranks update them in the same
/// order.
template <class R, class Comm>
struct RankRule : R {
  RankRule() = default;
  RankRule(const R& rule, const RankGroup<Comm>& its_group) : R(rule), group(its_group) {}

  RankGroup<Comm> group;

  static constexpr bool one_region = false;  // messages are sent inside
  template <class Base>
  using BucketOf = RankBucket<Base, RankRule>;

  [[nodiscard]] bool commutes() const { return false; }
  [[nodiscard]] double shape_factor(std::size_t rows, std::size_t cols) const {
    const auto [whole_rows, whole_cols] = whole_or(rows, cols);
    return optim::rule_scale<R>(*this, whole_rows, whole_cols);
  }
  [[nodiscard]] double lr_at(std::size_t rows, std::size_t cols) const requires(!optim::has_lr_of_step<R>) {
    const auto [whole_rows, whole_cols] = whole_or(rows, cols);
    return optim::rule_lr<R>(*this, 1, whole_rows, whole_cols);
  }
  [[nodiscard]] double lr_at(std::size_t step, std::size_t rows,
                             std::size_t cols) const requires optim::has_lr_of_step<R> {
    const auto [whole_rows, whole_cols] = whole_or(rows, cols);
    return optim::rule_lr<R>(*this, step, whole_rows, whole_cols);
  }
  /// The number of matrices that fit for an even share of a rank, so that it is the same on all ranks.
  [[nodiscard]] std::size_t most_matrices(std::size_t elements) const {
    const std::size_t each = group.whole.rows * group.whole.cols / std::size_t(group.comm->size());
    return std::max<std::size_t>(elements / std::max<std::size_t>(each, 1), 1);
  }
  template <class F>
  void maps(const F& f) const requires requires(const R& rule) {
    rule.maps([](double, const MapOptions&) {});
  }
  {
    R::maps([&](double p, const MapOptions& options) { f(RankPower<Comm>{p, group}, options); });
  }
  template <class Bucket>
  void direction(Bucket& bucket, const typename Bucket::Batch& out) const {
    bucket.check();
    R::direction(bucket, out);
  }

 private:
  [[nodiscard]] std::pair<std::size_t, std::size_t> whole_or(std::size_t rows, std::size_t cols) const {
    return group.whole.rows > 0 ? std::pair(group.whole.rows, group.whole.cols) : std::pair(rows, cols);
  }
};

}  // namespace schatten::distributed

namespace schatten::optim {

/// The plan of a map over ranks is a ShardedMap.
template <class Comm>
struct PlanOf<distributed::RankPower<Comm>> {
  using Of = distributed::RankPower<Comm>;
  template <Scalar T, ExecutionSpace Exec, class Backend>
  using Plan = distributed::ShardedMap<T, Exec, Backend, Comm>;
  template <class P>
  static P make(const Of& of, const MapOptions& map, std::size_t rows, std::size_t cols,
                const std::shared_ptr<spectral::FitCaches>& fits) {
    const distributed::WholeShape& whole = of.group.whole;
    const bool known = whole.rows > 0;
    return P(*of.group.comm, plan_options(of.power, map, known ? whole.rows : rows, known ? whole.cols : cols),
             {whole.side, of.group.order, of.group.functions, of.group.speed}, fits);
  }
  template <class P>
  static void set(P& plan, const Of& of) {
    if (plan.options().power != of.power) plan.set_power(of.power);
  }
};

}  // namespace schatten::optim
