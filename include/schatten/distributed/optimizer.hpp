// SPDX-License-Identifier: BSD-3-Clause
// Data-parallel training: every rank has all weights, and updates some of them for all ranks.
#pragma once

#include <schatten/distributed/owners.hpp>
#include <schatten/distributed/sum.hpp>
#include <schatten/distributed/weight_exchange.hpp>
#include <schatten/optim/optimizer.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// The meaning of the gradients of a rank.
enum class Gradients {
  equal,  ///< the same on all ranks: the program has summed them
  summed  ///< each rank's own: a step sums them, in the order of ranks, into the owner's gradient Views
};

struct RankOptions {
  Gradients gradients = Gradients::equal;
  /// Arrays of rules that work element by element are divided into ranges of rows with about this number of elements.
  std::size_t piece_elements = std::size_t{1} << 18;
  std::size_t message_bytes = std::size_t{64}
                              << 20;  ///< bytes that a rank receives in a round; there are two such buffers
  /// Whether weights are sent while the next ones are computed. The bits are the same.
  bool overlap = true;
};

namespace detail {

/// sum ← Σ_k parts[k] of one element, in T and in the order of ranks; parts: contiguous arrays of the gradient's type.
template <Scalar T>
struct SumTyped {
  optim::TypedBatch to;
  const char* parts;
  std::size_t ranks, stride;  ///< bytes between two ranks' arrays
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i, std::size_t j) const {
    const std::size_t at = (b * to.rows + i) * to.cols + j;
    T sum = 0;
    for (std::size_t k = 0; k < ranks; ++k) {
      TypedMatrix part{};
      part.data = const_cast<char*>(parts + k * stride);
      part.type = to.type;
      part.col_stride = 1;
      sum += load_element<T>(part, 0, at);
    }
    const TypedMatrix target = to.matrix(b);
    schatten::detail::store_at(target, target.at(i, j), sum);
  }
};

}  // namespace detail

/// An Optimizer in which one rank, the owner, updates each piece of the parameters and sends it to all ranks. All ranks
/// call its functions together, in the same order, with equal groups, names, shapes and types.
///
/// A matrix of a rule with directions is one piece; arrays of element rules are divided into ranges of rows. Pieces,
/// and therefore all results, do not depend on the number of ranks: "experts[2]" is a matrix of a parameter of rank 3,
/// "embedding[0:512]" are rows. Only the owner has state and master copies. A step sends weights, not directions, so
/// other ranks compute nothing for a piece. A rank sends (N−1)/N of the weights, and as much of the gradients if these
/// are summed.
///
/// Weights are sent in rounds of RankOptions::message_bytes, in the order in which matrices are stepped: first by
/// group, then by shape. With RankOptions::overlap a round is sent while the next matrices are computed;
/// OptimizerOptions::batch_bytes limits how many matrices of a shape are computed before the next round may begin.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class Optimizer {
 public:
  using Local = schatten::Optimizer<T, Exec, Backend>;  ///< the Optimizer of this rank's pieces
  using Space = typename Exec::memory_space;            ///< where weights are

  /// An Optimizer without groups. `comm` must exist as long as the Optimizer.
  explicit Optimizer(const Comm& comm, const OptimizerOptions& options = {}, const RankOptions& ranks = {})
      : comm_(&comm), options_(ranks), load_(std::size_t(comm.size()), 0.0), local_(options) {}

  /// As schatten::Optimizer::add_group.
  template <class R>
  GroupId add_group(const R& rule) {
    const GroupId id = local_.add_group(rule);
    const bool by_element = optim::ElementRule<R>;
    groups_.push_back({!by_element, by_element && !optim::PreparedElementRule<R> && !optim::ScaleFreeElementRule<R>});
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

  /// As schatten::Optimizer::add. If it throws, nothing has changed. Owners are chosen in the next step. @pre the
  /// memory of the Views does not change.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, const std::string& name, const VW& w, const VG& g, const ParameterOptions& options = {}) {
    require(id.index < groups_.size(), "distributed::Optimizer::add", "group", id.index, "is not a group");
    require(!name.empty(), "distributed::Optimizer::add", "name", name, "must not be empty");
    const std::size_t pieces = pieces_.size(), shapes = shapes_.size();
    try {
      add_pieces(id, name, w, g, options);
    } catch (...) {  // a later piece
      for (; pieces_.size() > pieces; pieces_.pop_back()) {
        local_.remove(pieces_.back().name);
        for (const std::string& part : pieces_.back().parts) registry_.remove(*registry_.find(part));
      }
      std::erase_if(shapes_, [&](const auto& shape) { return shape.second >= shapes; });
      throw;
    }
  }

  /// As schatten::Optimizer::observe, for a piece. The argument of the owner is used.
  template <KokkosView V>
  void observe(const Exec& exec, std::string_view piece, const V& x) {
    find_owners();
    if (owner(piece) == me()) local_.observe(exec, piece, x);
  }

  /// One step of every parameter. All ranks together. Throws what schatten::Optimizer::step throws, and RefusedByRank
  /// on the other ranks. The weights are then equal on all ranks, but some may have been updated. Fences if the
  /// communicator does.
  void step(const Exec& exec) {
    agree(*comm_, "distributed::Optimizer::step", [&] { return std::to_string(pieces_.size()) + " pieces"; });
    find_owners();
    if (options_.gradients == Gradients::summed) sum_gradients(exec);
    Exchange exchange(exec, *comm_, pieces_, plan_, workspace_, options_.overlap);
    std::exception_ptr error;
    try {
      if (options_.overlap && ranks() > 1 && plan_.rounds.size() > 1) {
        local_.step(exec, [&](std::string_view part) { exchange.note_stepped(part); });
      } else {
        local_.step(exec);
      }
    } catch (const CommunicationError&) {
      throw;
    } catch (...) {  // the other ranks wait for all rounds
      error = std::current_exception();
    }
    exchange.finish();
    agree(*comm_, "distributed::Optimizer::step", [&] {
      if (error) std::rethrow_exception(error);
      return std::string();
    });
  }

  /// Chooses an owner for every piece that has none. A step does this too. Throws InvalidArgument if ranks differ.
  /// @pre all ranks have added the same number of pieces; a step checks this.
  void find_owners() {
    if (owned_ == pieces_.size()) return;
    agree(*comm_, "distributed::Optimizer", [&] {
      std::string words = "gradients " + std::to_string(int(options_.gradients)) + ", message_bytes " +
                          std::to_string(options_.message_bytes) + ": ";
      for (std::size_t k = owned_; k < pieces_.size(); ++k) words += pieces_[k].words + "; ";
      return words;
    });
    std::vector<double> cost;
    for (std::size_t k = owned_; k < pieces_.size(); ++k) cost.push_back(pieces_[k].cost);
    const std::vector<std::size_t> owner = share_out(cost, load_);
    for (std::size_t k = owned_; k < pieces_.size(); ++k) {
      pieces_[k].owner = owner[k - owned_];
      if (pieces_[k].owner != me()) local_.remove(pieces_[k].name);
    }
    owned_ = pieces_.size();
    plan_ = detail::WeightRounds(pieces_, me(), ranks(), options_.message_bytes);
    if (options_.gradients == Gradients::summed) {
      gradient_rounds_ = detail::rounds_of(pieces_, &detail::OwnedPiece::gradient, ranks(), options_.message_bytes);
    }
  }

  /// Copies the owners' weights to all ranks. All ranks together. A step does this too.
  void share_weights(const Exec& exec) {
    find_owners();
    Exchange(exec, *comm_, pieces_, plan_, workspace_, options_.overlap).finish();
  }

  /// The Optimizer of this rank's pieces: state, counts, telemetry, fields.
  [[nodiscard]] Local& local() { return local_; }
  /// The communicator that the Optimizer was made with.
  [[nodiscard]] const Comm& communicator() const { return *comm_; }
  /// The names of the pieces of all parameters, in the order of add.
  [[nodiscard]] std::vector<std::string> pieces() const {
    std::vector<std::string> names;
    for (const detail::OwnedPiece& piece : pieces_) names.push_back(piece.name);
    return names;
  }
  /// The names of the pieces in a checkpoint. A piece with row_sizes has several names.
  [[nodiscard]] std::vector<std::string> parts() const {
    std::vector<std::string> names;
    for (const detail::OwnedPiece& piece : pieces_) names.insert(names.end(), piece.parts.begin(), piece.parts.end());
    return names;
  }
  /// The numbers of the groups of parts(), in their order.
  [[nodiscard]] std::vector<std::size_t> part_groups() const {
    std::vector<std::size_t> groups;
    for (const detail::OwnedPiece& piece : pieces_) groups.insert(groups.end(), piece.parts.size(), piece.turn.first);
    return groups;
  }
  /// The rank that updates a piece. @pre find_owners() or a step after its add. Throws InvalidArgument for an unknown
  /// name.
  [[nodiscard]] std::size_t owner(std::string_view name) const {
    for (const detail::OwnedPiece& piece : pieces_) {
      if (piece.name == name) return piece.owner;
    }
    throw InvalidArgument("distributed::Optimizer::owner", "name", std::string(name), "is no piece of a parameter");
  }
  /// Flops of a step of each rank, by the cost model.
  [[nodiscard]] const std::vector<double>& load() const { return load_; }

 private:
  using Exchange = detail::WeightExchange<Exec, Comm>;
  struct GroupKind {
    bool has_map, splits;
  };
  [[nodiscard]] std::size_t me() const { return std::size_t(comm_->rank()); }
  [[nodiscard]] std::size_t ranks() const { return std::size_t(comm_->size()); }

  template <class VW, class VG>
  void add_pieces(GroupId id, const std::string& name, const VW& w, const VG& g, const ParameterOptions& options) {
    constexpr int rank = view_rank<VW>;
    const auto cut = [&](std::size_t count, std::size_t each, const auto& part) {
      for (std::size_t first = 0; first < count; first += each) part(first, (std::min)(first + each, count));
    };
    const bool plain = options.row_blocks == 1 && options.column_blocks == 1 && options.row_sizes.empty();
    const auto each = [&](std::size_t elements) {
      return std::max<std::size_t>(options_.piece_elements / elements, 1);
    };
    const auto range = [&](std::size_t first, std::size_t end) {
      return name + "[" + std::to_string(first) + ":" + std::to_string(end) + "]";
    };
    using Range = std::pair<std::size_t, std::size_t>;
    if constexpr (rank == 3) {
      if (w.extent(0) > 1 && w.extent(0) == g.extent(0)) {
        return cut(w.extent(0), 1, [&](std::size_t b, std::size_t) {
          add_piece(id, name + "[" + std::to_string(b) + "]", Kokkos::subview(w, b, Kokkos::ALL, Kokkos::ALL),
                    Kokkos::subview(g, b, Kokkos::ALL, Kokkos::ALL), options);
        });
      }
    }
    if (groups_[id.index].splits && plain && w.size() > options_.piece_elements && w.extent(0) == g.extent(0)) {
      if constexpr (rank == 1) {
        return cut(w.extent(0), each(1), [&](std::size_t first, std::size_t end) {
          const Range r(first, end);
          add_piece(id, range(first, end), Kokkos::subview(w, r), Kokkos::subview(g, r), options);
        });
      } else if constexpr (rank == 2) {
        return cut(w.extent(0), each(w.extent(1)), [&](std::size_t first, std::size_t end) {
          const Range r(first, end);
          add_piece(id, range(first, end), Kokkos::subview(w, r, Kokkos::ALL), Kokkos::subview(g, r, Kokkos::ALL),
                    options);
        });
      }
    }
    add_piece(id, name, w, g, options);
  }
  template <class VW, class VG>
  void add_piece(GroupId id, const std::string& name, const VW& w, const VG& g, const ParameterOptions& options) {
    constexpr std::string_view function = "distributed::Optimizer::add";
    require(!registry_.has(name), function, "name", name, "is registered already");
    registry_.check_weight(strided_array(w), name, function);
    registry_.check_gradient(strided_array(g), name, function);
    local_.add(id, name, w, g, options);  // checks the rest; no memory before the next step
    detail::OwnedPiece piece{.name = name,
                             .words = {},
                             .parts = local_.part_names(name),
                             .cost = 0,
                             .turn = {id.index, 0},
                             .weight = {},
                             .gradient = {},
                             .weight_owner = std::make_shared<VW>(w),
                             .gradient_owner = std::make_shared<VG>(g)};
    const std::vector<optim::Piece> weights = optim::pieces_of<Exec>(w, options, function, "w", name),
                                    gradients = optim::pieces_of<Exec>(g, options, function, "g", name);
    for (const optim::Piece& part : weights) {
      const optim::TypedBatch& a = part.batch;
      piece.cost += step_cost(groups_[id.index].has_map, a.batch, a.rows, a.cols);
      const std::array<std::size_t, 4> shape{id.index, a.rows, a.cols, size_of(a.type)};
      piece.turn.second = (std::max)(piece.turn.second, shapes_.emplace(shape, shapes_.size()).first->second);
      piece.weight.push_back(a);
    }
    for (const optim::Piece& part : gradients) piece.gradient.push_back(part.batch);
    piece.words = name + " " + optim::extents_of(w).text() + " " + to_string(piece.weight[0].type) + "/" +
                  to_string(piece.gradient[0].type) + " in group " + std::to_string(id.index) + " (" +
                  std::string(local_.rule_name(id)) + "), blocks " + std::to_string(options.row_blocks) + "/" +
                  std::to_string(options.column_blocks) + "/" + std::to_string(int(options.interleaved)) + ", " +
                  std::to_string(int(options.reduced_weight));
    for (const std::size_t rows : options.row_sizes) piece.words += " " + std::to_string(rows);
    for (std::size_t k = 0; k < weights.size(); ++k) {
      optim::Parameter part;
      part.name = piece.parts[k];
      part.whole = name;
      part.weight_memory = weights[k].memory;
      part.gradient_memory = gradients[k].memory;
      part.has_gradient = true;
      (void)registry_.add(std::move(part));
    }
    pieces_.push_back(std::move(piece));
  }

  /// The owners' gradients ← the sums over ranks.
  void sum_gradients(const Exec& exec) {
    if (ranks() == 1) return;
    for (const detail::Round& round : gradient_rounds_) {
      const typename Workspace<Space>::Frame frame(workspace_);
      const std::size_t sum = detail::sum_of(round.bytes), each = round.bytes[me()];
      char* const mine = workspace_.template numbers<char>(sum).data();
      char* const all = workspace_.template numbers<char>(ranks() * each).data();
      char* at = mine;
      for (const std::size_t k : round.pieces) at = detail::pack(exec, pieces_[k].gradient, at);
      comm_->all_to_all(exec, mine, round.bytes, all, std::vector<std::size_t>(ranks(), each));
      const char* from = all;
      for (const std::size_t k : round.pieces) {
        if (pieces_[k].owner != me()) continue;
        for (const optim::TypedBatch& a : pieces_[k].gradient) {
          for_each_element(exec, "schatten::distributed/sum", a.batch, a.rows, a.cols,
                           detail::SumTyped<T>{a, from, ranks(), each});
          from += detail::bytes_of(a);
        }
      }
    }
  }

  const Comm* comm_;
  RankOptions options_;
  std::vector<GroupKind> groups_;
  std::vector<detail::OwnedPiece> pieces_;
  std::size_t owned_ = 0;  ///< pieces that have an owner
  std::vector<double> load_;
  std::map<std::array<std::size_t, 4>, std::size_t> shapes_;  ///< of parts, numbered as they come
  detail::WeightRounds plan_;
  std::vector<detail::Round> gradient_rounds_;  ///< where gradients are summed
  Local local_;
  optim::Registry registry_;  ///< all pieces: local_ does not know those of other ranks
  Workspace<Space> workspace_;
};

}  // namespace schatten::distributed
