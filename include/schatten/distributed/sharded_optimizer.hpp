// SPDX-License-Identifier: BSD-3-Clause
// Weights of which every rank has some rows, or some columns (tensor parallelism, FSDP by rows), under the rules of an
// Optimizer.
#pragma once

#include <schatten/distributed/rank_rule.hpp>
#include <schatten/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// Options of a ShardedOptimizer's sums over ranks.
struct ShardedOptions {
  SumOrder order = SumOrder::library;          ///< order of the terms of sums
  Functions functions = Functions::each_rank;  ///< how functions of Gram matrices are divided between ranks
  RankSpeed speed{};                           ///< the speeds that Functions::automatic uses
};

namespace detail {
template <class O>
class ShardInventory;
}

/// An Optimizer of weights of which every rank has some rows or columns. State is distributed as the weights are. Maps,
/// norms, statistics of rows and columns, the floor, and the skipping of matrices with a NaN are those of the whole
/// matrices. All ranks call its functions together, in the same order, with equal groups, names and whole shapes.
///
/// Rules: those that work element by element, and HTMuon, Muon, NorMuon, AdaMuon, CautiousMuon, LionMuon, MARSM, RMNP,
/// MuonEq, Scion. Arrays of `observe` are not supported. Results of rules that work element by element are bitwise
/// those of one process, results of the others are equal within rounding. Method of a map: automatic, which is
/// rational, or quintic or iterates (ShardedPower).
///
/// Matrices with one whole shape and the same parts are updated together. They need one sum over ranks for the rational
/// map of all, one for norms of rows if columns are distributed, and gathers of one number per matrix for the rest.
/// Ranks compare their arguments once per step, by 24 bytes per rank. A rank without rows adds a row of zeros, which
/// belongs to no matrix, to its local Optimizer. With SumOrder::ranks all ranks have bitwise the same results in every
/// call, also for statistics that every rank keeps. On host execution spaces.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class ShardedOptimizer {
 public:
  using Local = schatten::Optimizer<T, Exec, Backend>;  ///< the Optimizer of this rank's shards
  using Space = typename Exec::memory_space;            ///< where weights are

  /// Throws InvalidArgument for NonFinite::raise, where only one rank would throw, and for propagate, where a NaN would
  /// reach some ranks.
  explicit ShardedOptimizer(const Comm& comm, const OptimizerOptions& options = {}, const ShardedOptions& shards = {})
      : comm_(&comm), shards_(shards), local_(options) {
    agree(comm, "distributed::ShardedOptimizer", [&] {
      require(options.non_finite == NonFinite::skip, "distributed::ShardedOptimizer", "non_finite",
              int(options.non_finite),
              "must be skip: with raise one rank would throw alone, with propagate a NaN would reach some ranks");
      return "batch_bytes " + std::to_string(options.batch_bytes) + ", seed " + std::to_string(options.seed) +
             ", order " + std::to_string(int(shards.order)) + ", functions " + std::to_string(int(shards.functions)) +
             " at " + distributed::words_of(shards.speed);
    });
  }

  /// As schatten::Optimizer::add_group. Throws InvalidArgument also if the rule's numbers differ between ranks.
  template <class R>
  GroupId add_group(const R& rule) {
    static_assert(optim::serves_ranks<R>(), "schatten: this rule sees whole matrices; AssembledOptimizer has them");
    auto made = std::make_unique<RuleAs<R>>(rule);
    agree(*comm_, "distributed::ShardedOptimizer::add_group", [&] {
      made->check(*this, rule);
      return std::string(R::name) + words_of(made->fields());
    });
    groups_.push_back({std::string(R::name), std::move(made), 1, 0, {}});
    return {groups_.size() - 1, this};
  }
  /// Sets numbers of a group, all or none. Throws InvalidArgument on all ranks and changes nothing.
  void set(GroupId id, const std::vector<std::pair<std::string_view, double>>& values) {
    constexpr std::string_view function = "distributed::ShardedOptimizer::set";
    agree(*comm_, function, [&] {
      at(id, function).rule->check_set(*this, values, function);
      std::string words = std::to_string(id.index);
      for (const auto& [name, value] : values) {
        words.append(" ").append(name).append(" ").append(schatten::detail::printed(value));
      }
      return words;
    });
    Group& group = groups_[id.index];
    group.rule->set(*this, values, group.sets, function);  // on all ranks alike
  }
  /// Sets a number of a group, as schatten::Optimizer::set.
  void set(GroupId id, std::string_view name, double value) { set(id, {{name, value}}); }
  /// Sets the group's lr.
  void set_lr(GroupId id, double lr) { set(id, {{"lr", lr}}); }
  /// As schatten::Optimizer::set_lr_factor.
  void set_lr_factor(GroupId id, double factor) {
    constexpr std::string_view function = "distributed::ShardedOptimizer::set_lr_factor";
    agree(*comm_, function, [&] {
      (void)at(id, function);
      require(std::isfinite(factor) && factor >= 0, function, "factor", factor, "must be finite and not negative");
      return std::to_string(id.index) + " " + schatten::detail::printed(factor);
    });
    Group& group = groups_[id.index];
    group.lr_factor = factor;
    for (const Set& set : group.sets) local_.set_lr_factor(set.id, factor);
  }

  /// Adds this rank's rows or columns of a matrix. W, G: with the extents of `whole` except for the distributed side;
  /// or a part of a vector, whose whole shape is 1×n, by columns. The Optimizer keeps copies of the Views. options:
  /// blocks are not supported. All ranks together. Throws InvalidArgument, and RefusedByRank on the other ranks.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, const std::string& name, const VW& w, const VG& g, const WholeShape& whole,
           const ParameterOptions& options = {}) {
    constexpr std::string_view function = "distributed::ShardedOptimizer::add";
    constexpr int rank = view_rank<VW>;
    static_assert(rank == 1 || rank == 2, "schatten: shards are matrices or vectors");
    const auto argument = [&](std::string_view its) { return optim::argument_of(its, name); };
    const bool by_rows = whole.side == Side::rows;
    std::uint64_t count = 0;
    const std::vector<std::uint64_t> counts = agree(
        *comm_, function,
        [&] {
          (void)at(id, function);
          const std::size_t rows = rank == 1 ? 1 : w.extent(0), cols = rank == 1 ? w.extent(0) : w.extent(rank - 1);
          require(whole.rows > 0 && whole.cols > 0, function, argument("whole"), whole_words(whole),
                  "must have elements");
          require(rank == 2 || (whole.rows == 1 && !by_rows), function, argument("whole"), whole_words(whole),
                  "must be one row, cut by columns, for a vector");
          require(by_rows ? cols == whole.cols : rows == whole.rows, function, argument("w"), optim::extents_of(w),
                  {"must be ", to_string(whole.side), " of a matrix ", whole_words(whole)});
          require(optim::extents_of(g).text() == optim::extents_of(w).text(), function, argument("g"),
                  optim::extents_of(g), {"must have the extents of w, ", optim::extents_of(w)});
          const auto no_blocks = [&](std::string_view option, std::size_t value, std::size_t wanted) {
            require(value == wanted, function, argument(option), value, {"must be ", wanted, " for shards"});
          };
          no_blocks("row_blocks", options.row_blocks, 1);
          no_blocks("column_blocks", options.column_blocks, 1);
          no_blocks("number of row_sizes", options.row_sizes.size(), 0);
          count = by_rows ? rows : cols;
          return name + " " + whole_words(whole) + " by " + to_string(whole.side) + " in group " +
                 std::to_string(id.index) + ", rank " + std::to_string(rank) + ", " + to_string(type_of<VW>()) + "/" +
                 to_string(type_of<VG>()) + ", " + std::to_string(int(options.reduced_weight));
        },
        count);
    std::size_t sum = 0;
    for (const std::uint64_t one : counts) sum += one;
    const std::size_t length = by_rows ? whole.rows : whole.cols;
    require(sum == length, function, argument("whole"), length, {"must be what all ranks have together, ", sum});
    const bool master = sizeof(scalar_of<VW>) < 4 && options.reduced_weight == ReducedWeight::master_copy;
    const GroupId set = set_of(groups_[id.index], whole, counts, rank == 1, master);  // on all ranks alike
    bool added = false;
    try {
      agree(*comm_, function, [&] {
        if (count > 0) {
          local_.add(set, name, w, g, options);
        } else {
          add_nothing(set, name, whole, rank == 1);
        }
        added = true;
        return std::string();
      });
    } catch (...) {
      if (added) local_.remove(name);  // another rank has refused its part
      throw;
    }
    ++added_;
    const bool stochastic = sizeof(scalar_of<VW>) < 4 && options.reduced_weight == ReducedWeight::stochastic_rounding;
    shards_of_.insert_or_assign(name,
                                Shard{id.index, set, whole, counts, type_of<VW>(), rank == 1, master, stochastic});
  }

  /// One step of every parameter. All ranks together.
  void step(const Exec& exec) {
    agree(*comm_, "distributed::ShardedOptimizer::step", [&] { return std::to_string(added_) + " parameters"; });
    local_.step(exec);
    for (Group& group : groups_) ++group.steps;
  }

  /// The Optimizer of this rank's shards: state, counts, telemetry. @pre a change made through it is made on all ranks.
  [[nodiscard]] Local& local() { return local_; }
  /// The communicator that the Optimizer was made with.
  [[nodiscard]] const Comm& communicator() const { return *comm_; }

 private:
  friend class detail::ShardInventory<ShardedOptimizer>;

  /// The data of a parameter that all ranks have.
  struct Shard {
    std::size_t group;  ///< of this Optimizer
    GroupId set;        ///< of the local one
    WholeShape whole;
    std::vector<std::uint64_t> counts;  ///< rows, or columns, of each rank
    ElementType type;
    bool vector, master, stochastic;
  };
  /// Shards of one whole shape with the same parts: on every rank they have one shape and are in one bucket.
  struct Set {
    WholeShape whole;
    std::vector<std::uint64_t> counts;
    bool vector, master;
    GroupId id;
  };
  /// A group's rule, whose sets are groups of the local Optimizer.
  struct AnyRule {
    virtual ~AnyRule() = default;
    virtual GroupId add_set(ShardedOptimizer& self, const WholeShape& whole) const = 0;
    virtual void check_set(const ShardedOptimizer& self, const std::vector<std::pair<std::string_view, double>>& values,
                           std::string_view function) const = 0;
    virtual void set(ShardedOptimizer& self, const std::vector<std::pair<std::string_view, double>>& values,
                     const std::vector<Set>& sets, std::string_view function) = 0;
    [[nodiscard]] virtual std::vector<FieldInfo> fields() const = 0;
  };
  template <class R>
  struct RuleAs final : AnyRule {
    using Shards = RankRule<R, Comm>;
    R rule;
    explicit RuleAs(const R& its_rule) : rule(its_rule) {}
    GroupId add_set(ShardedOptimizer& self, const WholeShape& whole) const override {
      return self.local_.add_group(Shards(rule, self.group_of(whole)));
    }
    /// Throws what add_group does for these numbers.
    void check(const ShardedOptimizer& self, const R& changed) const {
      (void)Local().add_group(Shards(changed, self.group_of({})));
    }
    [[nodiscard]] R with(const std::vector<std::pair<std::string_view, double>>& values,
                         std::string_view function) const {
      R changed = rule;
      for (const auto& [name, value] : values) optim::set_field(changed, name, value, function);
      return changed;
    }
    void check_set(const ShardedOptimizer& self, const std::vector<std::pair<std::string_view, double>>& values,
                   std::string_view function) const override {
      check(self, with(values, function));
    }
    void set(ShardedOptimizer& self, const std::vector<std::pair<std::string_view, double>>& values,
             const std::vector<Set>& sets, std::string_view function) override {
      const R changed = with(values, function);
      std::size_t done = 0;
      try {
        for (; done < sets.size(); ++done) self.local_.set(sets[done].id, values);
      } catch (...) {  // a shape that has no map with these numbers
        std::vector<std::pair<std::string_view, double>> before = values;
        const std::vector<FieldInfo> old = fields();
        for (auto& [name, value] : before) {
          for (const FieldInfo& field : old) value = field.name == name ? field.value : value;
        }
        for (std::size_t k = 0; k < done; ++k) self.local_.set(sets[k].id, before);
        throw;
      }
      rule = changed;
    }
    [[nodiscard]] std::vector<FieldInfo> fields() const override { return optim::list_fields(rule); }
  };
  struct Group {
    std::string name;  ///< the rule's
    std::unique_ptr<AnyRule> rule;
    double lr_factor;
    std::size_t steps;  ///< taken so far
    std::vector<Set> sets;
  };

  template <class V>
  static constexpr ElementType type_of() {
    return element_type_of<scalar_of<V>>;
  }
  static std::string whole_words(const WholeShape& whole) {
    return std::to_string(whole.rows) + "x" + std::to_string(whole.cols);
  }
  static std::string words_of(const std::vector<FieldInfo>& fields) {
    std::string words;
    for (const FieldInfo& field : fields) {
      words.append(" ").append(field.name).append(" ").append(schatten::detail::printed(field.value));
    }
    return words;
  }
  [[nodiscard]] RankGroup<Comm> group_of(const WholeShape& whole) const {
    return {comm_, whole, shards_.order, shards_.functions, shards_.speed};
  }
  [[nodiscard]] Group& at(GroupId id, std::string_view function) {
    require(id.optimizer == this && id.index < groups_.size(), function, "group", id.index,
            "is not a group of this Optimizer");
    return groups_[id.index];
  }
  GroupId set_of(Group& group, const WholeShape& whole, const std::vector<std::uint64_t>& counts, bool vector,
                 bool master) {
    for (const Set& set : group.sets) {
      if (set.whole == whole && set.counts == counts && set.vector == vector && set.master == master) return set.id;
    }
    const GroupId id = group.rule->add_set(*this, whole);
    local_.inventory().set_steps(id.index, group.steps);
    local_.set_lr_factor(id, group.lr_factor);
    group.sets.push_back({whole, counts, vector, master, id});
    return id;
  }
  /// A row (column, element) of zeros, whose gradient is zero.
  void add_nothing(GroupId id, const std::string& name, const WholeShape& whole, bool vector) {
    const bool by_rows = whole.side == Side::rows;
    const std::string label = "schatten::distributed/nothing";
    if (vector) {
      using View = Kokkos::View<T*, Kokkos::LayoutRight, typename Exec::device_type>;
      return local_.add(id, name, View(label, 1), View(label, 1));
    }
    using View = Kokkos::View<T**, Kokkos::LayoutRight, typename Exec::device_type>;
    const std::size_t rows = by_rows ? 1 : whole.rows, cols = by_rows ? whole.cols : 1;
    local_.add(id, name, View(label, rows, cols), View(label, rows, cols));
  }

  const Comm* comm_;
  ShardedOptions shards_;
  std::vector<Group> groups_;
  std::size_t added_ = 0;
  std::map<std::string, Shard, std::less<>> shards_of_;
  Local local_;
};

}  // namespace schatten::distributed
