// SPDX-License-Identifier: BSD-3-Clause
// The optimizer: groups of parameters, each under a rule, and the step that they share. It knows no rule.
#pragma once

#include <schatten/optim/inventory.hpp>
#include <schatten/optim/optimizer_core.hpp>
#include <schatten/optim/rule_group.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten {

/// Steps parameters that live in the caller's memory. Groups may run different rules.
///
/// T: the scalar of state and arithmetic. step() is asynchronous on the execution-space instance as far as the backend
/// is, and from the second call on neither allocates Kokkos memory nor fences (with an interval, from the call after
/// the first one with the power). One Optimizer is used by one execution-space instance at a time; several may run side
/// by side. It may be made before Kokkos::initialize. Destroy it, or clear() it, before Kokkos::finalize.
template <Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class Optimizer : private optim::OptimizerCore<T, Exec> {
  using Core = optim::OptimizerCore<T, Exec>;
  using typename Core::Group;
  using typename Core::Parameter;

 public:
  /// Where state and scratch memory are.
  using memory_space = typename Exec::memory_space;

  /// An Optimizer without groups. No Kokkos memory.
  explicit Optimizer(const OptimizerOptions& options = {}) : Core(options) {}

  // ---- groups -----------------------------------------------------------------------------------------------------

  /// Adds an empty group that runs the rule: HTMuon, Muon, AdamW, SGD, … or one of yours (docs/add_a_rule.md). Throws
  /// InvalidArgument for a number out of range.
  template <class R>
  GroupId add_group(const R& rule) {
    optim::require_rule<R>();
    return this->add_group_of(
        std::make_unique<optim::RuleGroup<R, T, Exec, Backend>>(rule, this->options_.batch_bytes, this->fits()));
  }

  /// Sets a number of a group by name ("lr", "beta2", "power", …) from the next step on. Throws InvalidArgument and
  /// changes nothing for an unknown name and a value out of range.
  void set(GroupId id, std::string_view name, double value) {
    this->at(id, "Optimizer::set").set({{name, value}}, "Optimizer::set");
  }
  /// Sets several numbers, all or none.
  void set(GroupId id, const std::vector<std::pair<std::string_view, double>>& values) {
    this->at(id, "Optimizer::set").set(values, "Optimizer::set");
  }
  /// The same for the learning rate.
  void set_lr(GroupId id, double lr) { this->at(id, "Optimizer::set_lr").set({{"lr", lr}}, "Optimizer::set_lr"); }
  /// The same for the weight decay.
  void set_weight_decay(GroupId id, double weight_decay) {
    this->at(id, "Optimizer::set_weight_decay").set({{"weight_decay", weight_decay}}, "Optimizer::set_weight_decay");
  }
  /// The same for the power p of rules with a spectral map.
  void set_power(GroupId id, double power) {
    this->at(id, "Optimizer::set_power").set({{"power", power}}, "Optimizer::set_power");
  }
  /// Multiplies the group's lr from the next step on, for schedules; lr itself stays. @pre finite, not negative; throws
  /// InvalidArgument.
  void set_lr_factor(GroupId id, double factor) {
    require(std::isfinite(factor) && factor >= 0, "Optimizer::set_lr_factor", "factor", factor,
            "must be finite and not negative");
    this->at(id, "Optimizer::set_lr_factor").lr_factor = factor;
  }
  /// The factor of the group's lr.
  [[nodiscard]] double lr_factor(GroupId id) const { return this->at(id, "Optimizer::lr_factor").lr_factor; }
  /// The value of a number by name. Throws InvalidArgument for an unknown name.
  [[nodiscard]] double get(GroupId id, std::string_view name) const {
    for (const FieldInfo& field : this->at(id, "Optimizer::get").fields()) {
      if (field.name == name) return field.value;
    }
    throw InvalidArgument("Optimizer::get", "name", std::string(name), "is no number of this group's rule");
  }
  /// All numbers of a group with their defaults and ranges.
  [[nodiscard]] std::vector<FieldInfo> fields(GroupId id) const { return this->at(id, "Optimizer::fields").fields(); }
  /// The name of a group's rule: "htmuon".
  [[nodiscard]] std::string_view rule_name(GroupId id) const {
    return this->at(id, "Optimizer::rule_name").rule_name();
  }

  // ---- parameters ---------------------------------------------------------------------------------------------------

  /// Registers a parameter W with its gradient G. Its state begins at the next step. No kernel, no Kokkos memory.
  /// @pre no step of this Optimizer is under way on another execution-space instance.
  ///
  /// W, G: Views of equal extents, rank 1 to 4 (optim::pieces_of says how they are read as matrices), any layout, of
  /// float, double, Half, BFloat16 or Kokkos' own 16-bit types; W of no more digits than T. The Views are kept, the
  /// memory stays the caller's. Rank 1 only where the rule works element by element. Throws InvalidArgument, changing
  /// nothing, for an empty or known name, an unknown group, a View without memory, extents that differ, W overlapping
  /// itself, G, another parameter or its gradient, and a shape that the group's rule cannot serve. Cost: O(log n) with
  /// n parameters.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, std::string name, const VW& w, const VG& g, const ParameterOptions& options = {}) {
    if constexpr (check_types<VW, VG>()) {
      std::vector<Parameter> parts = parts_of(id, name, w, options);
      const std::vector<optim::Piece> gradient = gradient_of(parts[0], g, "Optimizer::add");
      const auto owner = std::make_shared<VG>(g);
      for (std::size_t k = 0; k < parts.size(); ++k) {
        parts[k].gradient = gradient[k].batch;
        parts[k].gradient_memory = gradient[k].memory;
        parts[k].has_gradient = true;
        parts[k].gradient_owner = owner;
      }
      const StridedArray memory = strided_array(g);
      this->add_parameter(id, std::move(parts), strided_array(w), &memory);
    }
  }
  /// Registers a parameter whose gradient does not exist yet: steps leave it out until set_gradient.
  template <KokkosView VW>
  void add(GroupId id, std::string name, const VW& w, const ParameterOptions& options = {}) {
    if constexpr (check_types<VW>()) {
      this->add_parameter(id, parts_of(id, name, w, options), strided_array(w), nullptr);
    }
  }
  /// Never compile: what is no View, an Eigen matrix for example, becomes one by schatten::view or
  /// schatten::matrix_view.
  template <class W, class G>
    requires(!(KokkosView<W> && KokkosView<G>)&&!std::same_as<G, ParameterOptions>)
  void add(GroupId, std::string, const W&, const G&, const ParameterOptions& = {}) { check_types<W, G>(); }
  /// The same without a gradient.
  template <class W>
    requires(!KokkosView<W>)
  void add(GroupId, std::string, const W&, const ParameterOptions& = {}) { check_types<W>(); }

  /// Replaces a parameter's gradient View, for codes whose gradients move. Same extents. Throws as add does. O(log n).
  template <KokkosView VG>
  void set_gradient(std::string_view name, const VG& g) {
    const Replacement checked = replacement_of(name, g, "Optimizer::set_gradient");
    this->replace_gradient(checked.parts, checked.gradient, std::make_shared<VG>(g));
  }
  /// The same for many: a range of pairs (name, View). All or none.
  template <class Range>
  void set_gradients(const Range& gradients) {
    std::vector<Replacement> checked;
    for (const auto& [name, g] : gradients) checked.push_back(replacement_of(name, g, "Optimizer::set_gradients"));
    auto next = checked.begin();
    for (const auto& [name, g] : gradients) {
      using View = std::remove_cvref_t<decltype(g)>;
      this->replace_gradient(next->parts, next->gradient, std::make_shared<View>(g));
      ++next;
    }
  }

  /// Gives a parameter's rule what it needs beside gradients, before the step that uses it: SophiaG the gradient of a
  /// loss with sampled labels, MARS the old weights' gradient, Newton-Muon the layer's inputs.
  ///
  /// x: of W's extents, or for a layer's inputs (samples, columns of W), for a batch of matrices (matrices, samples,
  /// columns); row blocks of a matrix share its inputs. Read in order on `exec`. Matrices with a NaN or an infinity in
  /// x are left out. Throws InvalidArgument for a rule that takes nothing and for other extents.
  template <KokkosView V>
  void observe(const Exec& exec, std::string_view name, const V& x) {
    constexpr std::string_view function = "Optimizer::observe";
    const std::vector<Parameter*> parts = this->registry_->all_parts(name, function);
    std::vector<optim::Piece> given;
    if (this->observes_inputs(*parts[0])) {
      const optim::Piece input = optim::pieces_of<Exec>(x, {}, function, "x", name)[0];
      for (const Parameter* const p : parts) {
        given.push_back(input);
        optim::TypedBatch& batch = given.back().batch;
        if (batch.batch != p->matrices() && batch.batch * p->options.row_blocks == p->matrices()) {
          batch.batch = p->matrices();  // stacked matrices have the same inputs
          batch.blocks = p->options.row_blocks;
          batch.block_stride = 0;
        }
        require(view_rank<V> >= 2 && batch.batch == p->matrices() && batch.cols == p->cols() && batch.rows > 0,
                function, optim::argument_of("x", name), optim::extents_of(x),
                "must be (samples, " + std::to_string(p->cols()) + "), before them the matrices of a batch");
      }
    } else {
      given = gradient_of(*parts[0], x, function, "x");
    }
    for (std::size_t k = 0; k < parts.size(); ++k) Core::observe(exec, *parts[k], given[k].batch, function);
  }

  /// Leaves a parameter out of the steps from now on: it does not move, decay or age. Throws InvalidArgument for an
  /// unknown name.
  using Core::pause;
  /// Takes a parameter into the steps again.
  using Core::resume;
  /// Forgets a parameter and its state.
  using Core::remove;
  /// The names that a parameter's parts have: "qkv[0]", … with ParameterOptions::row_sizes, else only its own.
  using Core::part_names;
  /// Forgets all groups and parameters and frees all memory.
  using Core::clear;

  /// Multiplies the group's weight decay for one parameter from the next step on, as AlphaDecay does; 1 until set.
  /// Throws InvalidArgument for an unknown name and a factor that is negative or not finite.
  using Core::set_decay_factor;
  /// The factor of a parameter's weight decay.
  using Core::decay_factor;

  // ---- steps --------------------------------------------------------------------------------------------------------

  /// One step of every parameter: direction and apply in as few passes as the rules allow.
  ///
  /// Reads the gradients, writes the parameters and the state; gradients are never modified. Matrices whose gradient
  /// holds a NaN or an infinity are skipped and counted. Throws NumericalError if a host library's decomposition does
  /// not converge; what was not stepped by then counts as skipped. See NonFinite. The first step after parameters were
  /// added or removed allocates and fences. Cost: per matrix, three passes and its map.
  using Core::step;
  /// The directions of all parameters, computed and kept: the first half of a step. State advances, weights do not
  /// move.
  using Core::direction;
  /// W ← W − (lr·weight_decay·W + lr·s·D) with the directions D: the second half.
  using Core::apply;
  /// The direction of a parameter between the two, (matrices, rows, cols) in the user's rows and columns: to read, or
  /// to replace, by what other processes have. Memory of the Optimizer, strided where the parameter is.
  using Core::direction_of;

  // ---- state, counts, telemetry -------------------------------------------------------------------------------------

  /// Names of the state arrays that a parameter has: "momentum", … . Makes arrays that do not exist yet; then it
  /// fences.
  using Core::state_names;
  /// A copy of a state array on the host, contiguous, in the user's rows and columns. Fences `exec`.
  using Core::read_state;
  /// Writes a state array from a rank-3 View that the host reads, of the extents that read_state gives. Throws
  /// InvalidArgument and changes nothing. Fences `exec`.
  using Core::write_state;
  /// How often each parameter was stepped: with the state arrays, what a run needs to go on. Fences `exec`.
  using Core::read_counts;
  /// Continues from the counts of an Optimizer with parameters of the same names, in any order. Throws InvalidArgument,
  /// changing nothing, for unknown names and counts that cannot be. Fences `exec`.
  using Core::write_counts;
  /// All that a run needs to go on, to list, copy and put back byte by byte (inventory.hpp): what checkpoints are made
  /// of.
  [[nodiscard]] optim::Inventory<T, Exec> inventory() { return optim::Inventory<T, Exec>(*this); }
  /// Matrix steps skipped so far because of a NaN or an infinity in the gradient; of one parameter, or of all. Fences.
  using Core::skipped_steps;
  /// Names of the parameters whose weights hold a NaN or an infinity. Fences `exec`.
  using Core::non_finite_weights;
  /// Turns the measuring of steps on or off. While on, steps compute and apply in two passes.
  using Core::set_telemetry;
  /// The last step of each matrix of a parameter; zeros before a step with telemetry. Fences `exec`.
  using Core::telemetry;
  /// Promised error of the parameter's spectral map; 0 where its rule has none.
  using Core::map_error_bound;

 private:
  /// The number of the first requirement that the types of W and G do not meet; 0: they meet all.
  template <class VW, class VG>
  static constexpr int unmet_requirement() {
    if constexpr (!KokkosView<VW> || !KokkosView<VG>) {
      return 1;
    } else if constexpr (std::is_const_v<typename VW::value_type>) {
      return 2;
    } else if constexpr (int(view_rank<VW>) != int(view_rank<VG>)) {
      return 3;
    } else if constexpr (!ParameterElement<scalar_of<VW>> || !ParameterElement<scalar_of<VG>>) {
      return 4;
    } else if constexpr (sizeof(scalar_of<VW>) > sizeof(T)) {
      return 5;
    } else if constexpr (view_rank<VW> < 1 || view_rank<VW> > 4) {
      return 6;
    } else if constexpr (!accessible_from<Exec, typename VW::memory_space> ||
                         !accessible_from<Exec, typename VG::memory_space>) {
      return 7;
    }
    return 0;
  }
  /// Whether W and G may be registered. The compiler reports the first requirement that is not met, and nothing else.
  template <class VW, class VG = VW>
  static constexpr bool check_types() {
    constexpr int unmet = unmet_requirement<VW, VG>();
    static_assert(unmet != 1,
                  "schatten: W and G must be Kokkos Views; schatten::view(matrix) makes one of an Eigen matrix "
                  "(interop/eigen.hpp), schatten::matrix_view of a pointer (interop/pointers.hpp)");
    static_assert(unmet != 2, "schatten: W is written and must not be const");
    static_assert(unmet != 3, "schatten: W and G must have the same rank");
    static_assert(unmet != 4, "schatten: W and G must be of float, double, Half, BFloat16 or Kokkos' 16-bit types");
    static_assert(unmet != 5, "schatten: W has more digits than the Optimizer's scalar");
    static_assert(unmet != 6, "schatten: a parameter must have rank 1 to 4");
    static_assert(unmet != 7, "schatten: the View's memory space is not accessible from the execution space");
    return unmet == 0;
  }

  /// A gradient that may replace the one of all parts of a parameter.
  struct Replacement {
    std::vector<Parameter*> parts;
    std::vector<optim::Piece> gradient;
  };

  /// The parameter, or its parts, without a gradient.
  template <class VW>
  std::vector<Parameter> parts_of(GroupId id, const std::string& name, const VW& w,
                                  const ParameterOptions& options) const {
    constexpr std::string_view function = "Optimizer::add";
    this->check_new(id, name, view_rank<VW>, function);
    const auto owner = std::make_shared<VW>(w);
    std::vector<Parameter> parts;
    for (const optim::Piece& piece : optim::pieces_of<Exec>(w, options, function, "w", name)) {
      Parameter part;
      part.name = options.row_sizes.empty() ? name : optim::part_name(name, parts.size());
      part.whole = name;
      part.extents = optim::extents_of(w);
      part.shape = options.row_sizes.empty() ? optim::view_shape(w) : optim::batch_shape(piece.batch);
      part.rank = view_rank<VW>;
      part.options = options;
      part.weight = piece.batch;
      part.weight_memory = piece.memory;
      part.weight_owner = owner;
      parts.push_back(std::move(part));
    }
    return parts;
  }

  /// The pieces of a View of the extents of the parameter that `part` belongs to.
  template <class VG>
  static std::vector<optim::Piece> gradient_of(const Parameter& part, const VG& g, std::string_view function,
                                               std::string_view argument = "g") {
    const std::string extents = optim::extents_of(g);
    require(extents == part.extents, function, optim::argument_of(argument, part.whole), extents,
            "must have the extents of w, " + part.extents);
    return optim::pieces_of<Exec>(g, part.options, function, argument, part.whole);
  }
  template <class VG>
  Replacement replacement_of(std::string_view name, const VG& g, std::string_view function) const {
    Replacement checked{this->registry_->all_parts(name, function), {}};
    checked.gradient = gradient_of(*checked.parts[0], g, function);
    this->registry_->check_gradient(strided_array(g), name, function);
    return checked;
  }
};

}  // namespace schatten
