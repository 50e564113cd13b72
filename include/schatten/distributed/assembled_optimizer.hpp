// SPDX-License-Identifier: BSD-3-Clause
// An Optimizer, with any rule, of weights that are divided between ranks at any element: each matrix is assembled on
// one rank, updated there, and its parts are sent back.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/distributed/owners.hpp>
#include <schatten/distributed/sum.hpp>
#include <schatten/optim/optimizer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// Which elements are next to each other in the memory that is divided.
enum class ElementOrder {
  rows,    ///< those of a row: a flat buffer of row-major matrices, a division by rows
  columns  ///< those of a column: a division by columns
};

/// An Optimizer over weights of which every rank has a range of elements: one of N shards of a flat buffer (ZeRO,
/// Rajbhandari et al., arXiv 1910.02054; FSDP), divided at any element, or rows or columns of each matrix. All ranks
/// call its functions together, in the same order, with equal groups, names and shapes.
///
/// Each matrix has an owner (share_out), which has its state and a copy of its weights: 1/N of all for each of N ranks.
/// A step sends the ranges of the gradients to the owners, updates the weights there, and sends the ranges of the
/// weights back: one all-to-all each, of at most (N−1)/N of the gradients and of the weights. Every rule works on whole
/// matrices. The owners' copies of the weights count: values that a program writes into its ranges are replaced by the
/// next step. Arrays of `observe` are not supported. The result is bitwise that of one process, on any number of ranks
/// and for any division. Weights and gradients are of T, contiguous.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class AssembledOptimizer {
 public:
  using Local = schatten::Optimizer<T, Exec, Backend>;  ///< the Optimizer of this rank's pieces
  using Space = typename Exec::memory_space;            ///< where weights are

  /// An Optimizer without groups. `comm` must exist as long as the Optimizer.
  explicit AssembledOptimizer(const Comm& comm, const OptimizerOptions& options = {})
      : comm_(&comm), load_(std::size_t(comm.size()), 0.0), local_(options) {}

  /// As schatten::Optimizer::add_group.
  template <class R>
  GroupId add_group(const R& rule) {
    const GroupId id = local_.add_group(rule);
    has_map_.push_back(!optim::ElementRule<R>);
    return id;
  }
  /// Sets a number of a group, as schatten::Optimizer::set.
  void set(GroupId id, std::string_view name, double value) { local_.set(id, name, value); }
  /// Sets several numbers, or none if one is refused.
  void set(GroupId id, const std::vector<std::pair<std::string_view, double>>& values) { local_.set(id, values); }
  /// Sets the group's lr.
  void set_lr(GroupId id, double lr) { local_.set_lr(id, lr); }
  /// Multiplies the group's lr by `factor`, as schatten::Optimizer::set_lr_factor.
  void set_lr_factor(GroupId id, double factor) { local_.set_lr_factor(id, factor); }

  /// Adds this rank's elements [first, first + n) of a rows×cols matrix, counted in `order`. w and g have rank 1 and
  /// length n, which may be 0. A vector is a matrix of one row. The Optimizer keeps copies of the Views. Throws
  /// InvalidArgument.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, const std::string& name, std::size_t rows, std::size_t cols, std::size_t first, const VW& w,
           const VG& g, ElementOrder order = ElementOrder::rows) {
    static_assert(view_rank<VW> == 1 && view_rank<VG> == 1, "schatten: ranges of elements have rank 1");
    static_assert(std::is_same_v<typename VW::value_type, T> && std::is_same_v<scalar_of<VG>, T>,
                  "schatten: weights and gradients must have the Optimizer's scalar type");
    constexpr std::string_view function = "distributed::AssembledOptimizer::add";
    const auto of = [&](std::string_view argument) { return optim::argument_of(argument, name); };
    (void)local_.rule_name(id);  // refuses an unknown group
    optim::check_name(name, function);
    require(!registry_.has(name), function, "name", name, "is registered already");
    require_extents(rows, cols, function, of("rows"));
    require(first <= rows * cols && w.extent(0) <= rows * cols - first, function, of("w"), w.extent(0),
            {"must lie inside ", rows, "x", cols});
    require(g.extent(0) == w.extent(0), function, of("g"), g.extent(0), {"must have the length of w, ", w.extent(0)});
    const bool contiguous = w.extent(0) <= 1 || (w.stride(0) == 1 && g.stride(0) == 1);
    require(contiguous, function, of("w"), w.extent(0), "must be contiguous, its gradient too");
    optim::Parameter range;  // of this rank
    range.name = range.whole = name;
    range.weight_memory = strided_array(w);
    range.gradient_memory = strided_array(g);
    range.has_gradient = true;
    require_memory(range.weight_memory, function, of("w"));
    require_memory(range.gradient_memory, function, of("g"));
    require(!overlap(range.gradient_memory, range.weight_memory), function, "g", name, "must not overlap w");
    registry_.check_weight(range.weight_memory, name, function);
    registry_.check_gradient(range.gradient_memory, name, function);
    (void)registry_.add(std::move(range));
    arrays_.push_back({.name = name,
                       .group = id,
                       .rows = rows,
                       .cols = cols,
                       .order = order,
                       .w = w.data(),
                       .g = g.data(),
                       .w_view = std::make_shared<VW>(w),
                       .g_view = std::make_shared<VG>(g),
                       .first = {first},
                       .count = {w.extent(0)}});
  }
  /// A parameter of a flat buffer.
  struct Entry {
    std::string name;  ///< unique among all parameters
    std::size_t rows;  ///< rows of the whole matrix; 1 for a vector
    std::size_t cols;  ///< columns of the whole matrix
    GroupId group;     ///< its group
  };
  /// Adds a shard of a flat buffer: the elements [first, first + n) of the matrices of `table`, which lie one after the
  /// other, row-major. w and g have n elements, those of this rank. Throws InvalidArgument, and changes nothing, for an
  /// entry that `add` refuses.
  template <KokkosView VW, KokkosView VG>
  void add_flat(const std::vector<Entry>& table, std::size_t first, const VW& w, const VG& g) {
    constexpr std::string_view function = "distributed::AssembledOptimizer::add_flat";
    std::size_t total = 0;
    for (const Entry& entry : table) {
      require_extents(entry.rows, entry.cols, function, optim::argument_of("rows", entry.name));
      total += entry.rows * entry.cols;
    }
    require(first <= total && w.extent(0) <= total - first, function, "w", w.extent(0),
            {"must end inside the table, which has ", total, " elements, and begins at ", first});
    require(g.extent(0) == w.extent(0), function, "g", g.extent(0), {"must have the length of w, ", w.extent(0)});
    const std::size_t end = first + w.extent(0), arrays = arrays_.size();
    try {
      add_entries(table, first, end, w, g);
    } catch (...) {  // a later entry
      for (; arrays_.size() > arrays; arrays_.pop_back()) registry_.remove(*registry_.find(arrays_.back().name));
      throw;
    }
  }

  /// One step of every parameter. All ranks together. Throws what schatten::Optimizer::step throws, and RefusedByRank
  /// on the other ranks. The weights of all ranks are then those of the owners, of which some may have been updated.
  /// Throws InvalidArgument if the ranges of all ranks do not form a matrix.
  void step(const Exec& exec) {
    constexpr std::string_view function = "distributed::AssembledOptimizer::step";
    agree(*comm_, function, [&] { return std::to_string(arrays_.size()) + " parameters"; });
    find_owners(exec);
    to_owners(exec, &Array::g, &Array::gradient);
    std::exception_ptr error;
    try {
      local_.step(exec);
    } catch (...) {  // other owners have stepped
      error = std::current_exception();
    }
    from_owners(exec);
    agree(*comm_, function, [&] {
      if (error) std::rethrow_exception(error);
      return std::string();
    });
  }

  /// Chooses an owner for every matrix that has none, and sends it the weights. A step does this too. Throws
  /// InvalidArgument if the arguments of ranks differ.
  void find_owners(const Exec& exec) {
    if (owned_ < arrays_.size()) assign_owners(exec);
  }
  /// Copies the owners' weights to all ranks. All ranks together. A step does this too.
  void share_weights(const Exec& exec) {
    find_owners(exec);
    from_owners(exec);
  }

  /// The Optimizer of the matrices that this rank owns.
  [[nodiscard]] Local& local() { return local_; }
  /// The communicator that the Optimizer was made with.
  [[nodiscard]] const Comm& communicator() const { return *comm_; }
  /// The names of all matrices, in the order of add.
  [[nodiscard]] std::vector<std::string> parts() const {
    std::vector<std::string> names;
    for (const Array& a : arrays_) names.push_back(a.name);
    return names;
  }
  /// The numbers of the groups of parts(), in their order.
  [[nodiscard]] std::vector<std::size_t> part_groups() const {
    std::vector<std::size_t> groups;
    for (const Array& a : arrays_) groups.push_back(a.group.index);
    return groups;
  }

 private:
  using Memory = Kokkos::View<T*, Kokkos::LayoutRight, typename Exec::device_type>;
  struct Array {
    std::string name;
    GroupId group;
    std::size_t rows, cols;
    ElementOrder order;
    T* w;
    const T* g;
    std::shared_ptr<const void> w_view, g_view;
    std::vector<std::size_t> first, count;  ///< of each rank, once owners are found; before, this one's
    std::size_t owner = 0;
    Memory weight{}, gradient{};  ///< the owner's
  };

  [[nodiscard]] std::size_t me() const { return std::size_t(comm_->rank()); }
  [[nodiscard]] std::size_t ranks() const { return std::size_t(comm_->size()); }

  static void require_extents(std::size_t rows, std::size_t cols, std::string_view function, const Words& argument) {
    require(cols == 0 || rows <= (std::numeric_limits<std::size_t>::max)() / sizeof(T) / cols, function, argument, rows,
            {"must be those of a matrix that fits into memory, with ", cols, " columns"});
  }
  template <class VW, class VG>
  void add_entries(const std::vector<Entry>& table, std::size_t first, std::size_t end, const VW& w, const VG& g) {
    std::size_t begin = 0;
    for (const Entry& entry : table) {
      const std::size_t stop = begin + entry.rows * entry.cols;
      const std::size_t from = std::clamp(first, begin, stop), to = std::clamp(end, from, stop);
      const std::size_t at = from < to ? from - first : 0;
      const std::pair<std::size_t, std::size_t> range(at, at + (to - from));
      add(entry.group, entry.name, entry.rows, entry.cols, from - begin, Kokkos::subview(w, range),
          Kokkos::subview(g, range));
      begin = stop;
    }
  }

  void assign_owners(const Exec& exec) {
    agree(*comm_, "distributed::AssembledOptimizer", [&] {
      std::string words;
      for (std::size_t k = owned_; k < arrays_.size(); ++k) {
        const Array& a = arrays_[k];
        words += a.name + " " + std::to_string(a.rows) + "x" + std::to_string(a.cols) + " in group " +
                 std::to_string(a.group.index) + (a.order == ElementOrder::rows ? "; " : " by columns; ");
      }
      return words;
    });
    const std::size_t added = arrays_.size() - owned_;
    std::vector<std::uint64_t> mine, all(2 * added * ranks());
    for (std::size_t k = owned_; k < arrays_.size(); ++k) {
      const std::size_t at = arrays_[k].first.size() == 1 ? 0 : me();  // a step that was refused had all ranks' numbers
      mine.push_back(arrays_[k].first[at]);
      mine.push_back(arrays_[k].count[at]);
    }
    comm_->exchange(mine.data(), mine.size() * sizeof(mine[0]), all.data());
    std::vector<double> cost;
    for (std::size_t k = owned_; k < arrays_.size(); ++k) {
      Array& a = arrays_[k];
      a.first.assign(ranks(), 0);
      a.count.assign(ranks(), 0);
      std::vector<std::pair<std::size_t, std::size_t>> ranges;
      for (std::size_t r = 0; r < ranks(); ++r) {
        a.first[r] = all[2 * (r * added + k - owned_)];
        a.count[r] = all[2 * (r * added + k - owned_) + 1];
        if (a.count[r] > 0) ranges.emplace_back(a.first[r], a.first[r] + a.count[r]);
      }
      std::sort(ranges.begin(), ranges.end());
      std::size_t end = 0;
      for (const auto& [from, to] : ranges) {
        if (from != end) break;
        end = to;
      }
      // On all ranks alike: they have the same numbers.
      require(end == a.rows * a.cols && (ranges.empty() || ranges.back().second == end),
              "distributed::AssembledOptimizer", optim::argument_of("ranges", a.name), end,
              {"must be those of all ranks, without gaps and overlaps, up to ", a.rows * a.cols});
      cost.push_back(step_cost(has_map_[a.group.index], 1, a.rows, a.cols));
    }
    std::vector<double> load = load_;
    const std::vector<std::size_t> owner = share_out(cost, load);
    for (std::size_t k = owned_; k < arrays_.size(); ++k) {
      Array& a = arrays_[k];
      a.owner = owner[k - owned_];
      if (a.owner != me()) continue;
      a.weight = Memory(Kokkos::view_alloc(exec, "schatten::distributed/weight"), a.rows * a.cols);
      a.gradient = Memory(Kokkos::view_alloc(exec, "schatten::distributed/gradient"), a.rows * a.cols);
    }
    to_owners(exec, &Array::w, &Array::weight, owned_);
    std::vector<std::string> owned;
    try {
      agree(*comm_, "distributed::AssembledOptimizer", [&] {
        for (std::size_t k = owned_; k < arrays_.size(); ++k) {
          if (arrays_[k].owner != me()) continue;
          add_owned(arrays_[k]);
          owned.push_back(arrays_[k].name);
        }
        return std::string();
      });
    } catch (...) {  // a rule refuses a shape
      for (const std::string& name : owned) local_.remove(name);
      throw;
    }
    load_ = std::move(load);
    owned_ = arrays_.size();
  }
  void add_owned(const Array& a) {
    using Layout = Kokkos::LayoutStride;
    using View = Kokkos::View<T**, Layout, typename Exec::device_type, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
    const bool by_rows = a.order == ElementOrder::rows;
    const Layout layout(a.rows, by_rows ? a.cols : 1, a.cols, by_rows ? 1 : a.rows);
    local_.add(a.group, a.name, View(a.weight.data(), layout), View(a.gradient.data(), layout));
  }

  static void copy(const Exec& exec, const T* from, T* to, std::size_t n) {
    copy_range(exec, "schatten::distributed/copy", from, to, n);
  }
  /// The number of elements that rank r has of the arrays that rank o owns, from array `begin` on.
  [[nodiscard]] std::size_t shared(std::size_t r, std::size_t o, std::size_t begin) const {
    std::size_t sum = 0;
    for (std::size_t k = begin; k < arrays_.size(); ++k) sum += arrays_[k].owner == o ? arrays_[k].count[r] : 0;
    return sum;
  }
  /// f(array) for those of the owners in turn, from `begin` on.
  template <class F>
  void each_by_owner(std::size_t begin, const F& f) {
    for (std::size_t o = 0; o < ranks(); ++o) {
      for (std::size_t k = begin; k < arrays_.size(); ++k) {
        if (arrays_[k].owner == o) f(arrays_[k]);
      }
    }
  }
  /// f(array, rank) for this rank's own arrays, the ranks in turn, from `begin` on.
  template <class F>
  void each_owned(std::size_t begin, const F& f) {
    for (std::size_t r = 0; r < ranks(); ++r) {
      for (std::size_t k = begin; k < arrays_.size(); ++k) {
        if (arrays_[k].owner == me()) f(arrays_[k], r);
      }
    }
  }
  struct Sizes {
    std::vector<std::size_t> to_owner, from_rank;  ///< bytes
    std::size_t ranges = 0, owned = 0;             ///< numbers
  };
  [[nodiscard]] Sizes sizes(std::size_t begin) const {
    Sizes s;
    for (std::size_t r = 0; r < ranks(); ++r) {
      s.ranges += shared(me(), r, begin);
      s.owned += shared(r, me(), begin);
      s.to_owner.push_back(shared(me(), r, begin) * sizeof(T));
      s.from_rank.push_back(shared(r, me(), begin) * sizeof(T));
    }
    return s;
  }

  /// The owners' `whole` ← all ranks' `range`.
  template <class U>
  void to_owners(const Exec& exec, U* Array::*range, Memory Array::*whole, std::size_t begin = 0) {
    const typename Workspace<Space>::Frame frame(workspace_);
    const Sizes s = sizes(begin);
    T* const out = workspace_.template numbers<T>(s.ranges).data();
    T* const in = workspace_.template numbers<T>(s.owned).data();
    T* at = out;
    each_by_owner(begin, [&](const Array& a) {
      copy(exec, a.*range, at, a.count[me()]);
      at += a.count[me()];
    });
    comm_->all_to_all(exec, out, s.to_owner, in, s.from_rank);
    const T* from = in;
    each_owned(begin, [&](const Array& a, std::size_t r) {
      copy(exec, from, (a.*whole).data() + a.first[r], a.count[r]);
      from += a.count[r];
    });
  }
  /// All ranks' weights ← the owners'.
  void from_owners(const Exec& exec) {
    const typename Workspace<Space>::Frame frame(workspace_);
    const Sizes s = sizes(0);
    T* const in = workspace_.template numbers<T>(s.ranges).data();
    T* const out = workspace_.template numbers<T>(s.owned).data();
    T* at = out;
    each_owned(0, [&](const Array& a, std::size_t r) {
      copy(exec, a.weight.data() + a.first[r], at, a.count[r]);
      at += a.count[r];
    });
    comm_->all_to_all(exec, out, s.from_rank, in, s.to_owner);
    const T* from = in;
    each_by_owner(0, [&](const Array& a) {
      copy(exec, from, a.w, a.count[me()]);
      from += a.count[me()];
    });
  }

  const Comm* comm_;
  std::vector<bool> has_map_;
  optim::Registry registry_;  ///< this rank's ranges of all arrays
  std::vector<Array> arrays_;
  std::size_t owned_ = 0;
  std::vector<double> load_;
  Local local_;
  Workspace<Space> workspace_;
};

}  // namespace schatten::distributed
