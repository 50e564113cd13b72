// SPDX-License-Identifier: BSD-3-Clause
// The optimizer: groups of parameters, each under a rule, and the step that they share. It knows no rule.
#pragma once

#include <schatten/optim/inventory.hpp>
#include <schatten/optim/optimizer_core.hpp>
#include <schatten/optim/rule_group.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// Steps parameters that live in the caller's memory. Groups may run different rules.
///
/// T: the scalar of state and arithmetic. step() is asynchronous on the execution-space instance as far as the backend is,
/// and from the second call on neither allocates Kokkos memory nor fences (with an interval, from the call after the first
/// one with the power). One Optimizer serves one execution-space instance at a time; several may run side by side. It may
/// be made before Kokkos::initialize. Destroy it, or clear() it, before Kokkos::finalize.
template <Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class Optimizer : private optim::OptimizerCore<T, Exec> {
  using Core = optim::OptimizerCore<T, Exec>;
  using typename Core::Group;
  using typename Core::Parameter;

 public:
  using memory_space = typename Exec::memory_space;

  explicit Optimizer(const OptimizerOptions& options = {}) : Core(options) {}

  // ---- groups -------------------------------------------------------------------------------------------------------

  /// Adds an empty group that runs the rule: HTMuon, Muon, AdamW, SGD, … or one of yours (docs/add_a_rule.md). Throws
  /// InvalidArgument for a number out of range.
  template <class R>
  GroupId add_group(const R& rule) {
    optim::require_rule<R>();
    return this->add_group_of(
        std::make_unique<optim::RuleGroup<R, T, Exec, Backend>>(rule, this->options_.batch_bytes, this->fits()));
  }

  /// Sets a number of a group by name ("lr", "beta2", "power", …) from the next step on. Throws InvalidArgument and changes
  /// nothing for an unknown name and a value out of range.
  void set(GroupId id, std::string_view name, double value) {
    this->at(id, "Optimizer::set").set({{name, value}}, "Optimizer::set");
  }
  /// Sets several numbers, all or none.
  void set(GroupId id, const std::vector<std::pair<std::string_view, double>>& values) {
    this->at(id, "Optimizer::set").set(values, "Optimizer::set");
  }
  void set_lr(GroupId id, double lr) { this->at(id, "Optimizer::set_lr").set({{"lr", lr}}, "Optimizer::set_lr"); }
  void set_weight_decay(GroupId id, double weight_decay) {
    this->at(id, "Optimizer::set_weight_decay").set({{"weight_decay", weight_decay}}, "Optimizer::set_weight_decay");
  }
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

  // ---- parameters -----------------------------------------------------------------------------------------------------

  /// Registers a parameter W with its gradient G. Its state begins at the next step. No kernel, no Kokkos memory.
  /// @pre no step of this Optimizer is under way on another execution-space instance.
  ///
  /// W, G: Views of equal extents, rank 1 to 4 (optim::typed_batch says how they are read as matrices), any layout, of
  /// float, double, Half, BFloat16 or Kokkos' own 16-bit types; W of no more digits than T. The Views are kept, the memory
  /// stays the caller's. Rank 1 only where the rule works element by element. Throws InvalidArgument, changing nothing, for
  /// an empty or known name, an unknown group, a View without memory, extents that differ, W overlapping itself, G, another
  /// parameter or its gradient, and a shape that the group's rule cannot serve. Cost: O(log n) with n parameters.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, std::string name, const VW& w, const VG& g, const ParameterOptions& options = {}) {
    check_types<VW>();
    check_types<VW, VG>();
    Parameter parameter = parameter_of(id, std::move(name), w, options);
    parameter.gradient = gradient_of(parameter, g, "Optimizer::add");
    parameter.has_gradient = true;
    parameter.gradient_owner = std::make_shared<VG>(g);
    this->add_parameter(id, std::move(parameter));
  }
  /// Registers a parameter whose gradient does not exist yet: steps leave it out until set_gradient.
  template <KokkosView VW>
  void add(GroupId id, std::string name, const VW& w, const ParameterOptions& options = {}) {
    check_types<VW>();
    this->add_parameter(id, parameter_of(id, std::move(name), w, options));
  }

  /// Replaces a parameter's gradient View, for codes whose gradients move. Same extents. Throws as add does. O(log n).
  template <KokkosView VG>
  void set_gradient(std::string_view name, const VG& g) {
    Parameter& parameter = this->registry_->at(name, "Optimizer::set_gradient");
    const optim::TypedBatch gradient = gradient_of(parameter, g, "Optimizer::set_gradient");
    this->registry_->check_gradient(gradient, parameter.weight, name, "Optimizer::set_gradient");
    this->replace_gradient(parameter, gradient, std::make_shared<VG>(g));
  }
  /// The same for many: a range of pairs (name, View). All or none.
  template <class Range>
  void set_gradients(const Range& gradients) {
    std::vector<std::pair<Parameter*, optim::TypedBatch>> checked;
    for (const auto& [name, g] : gradients) {
      Parameter& parameter = this->registry_->at(name, "Optimizer::set_gradients");
      checked.emplace_back(&parameter, gradient_of(parameter, g, "Optimizer::set_gradients"));
      this->registry_->check_gradient(checked.back().second, parameter.weight, name, "Optimizer::set_gradients");
    }
    auto next = checked.begin();
    for (const auto& [name, g] : gradients) {
      using View = std::remove_cvref_t<decltype(g)>;
      this->replace_gradient(*next->first, next->second, std::make_shared<View>(g));
      ++next;
    }
  }

  /// Gives a parameter's rule what it needs beside gradients, before the step that uses it: SophiaG the gradient of a loss
  /// with sampled labels, MARS the old weights' gradient, Newton-Muon the layer's inputs.
  ///
  /// x: of W's extents, or for a layer's inputs (samples, columns of W), for a batch of matrices (matrices, samples, columns).
  /// Read in order on `exec`. Matrices with a NaN or an infinity in x are left out. Throws InvalidArgument for a rule that
  /// takes nothing and for other extents.
  template <KokkosView V>
  void observe(const Exec& exec, std::string_view name, const V& x) {
    constexpr std::string_view function = "Optimizer::observe";
    Parameter& p = this->registry_->at(name, function);
    if (!this->observes_inputs(p)) return Core::observe(exec, p, gradient_of(p, x, function, "x"), function);
    const optim::TypedBatch input = optim::typed_batch<Exec>(x, 1, function, "x", p.name);
    require(view_rank<V> >= 2 && input.batch == p.matrices() && input.cols == p.cols() && input.rows > 0, function,
            optim::argument_of("x", name), optim::extents_of(x),
            "must be (samples, columns of w), before them the matrices of a batch");
    Core::observe(exec, p, input, function);
  }

  /// Leaves a parameter out of the steps from now on: it does not move, decay or age. Throws InvalidArgument for an unknown
  /// name.
  using Core::pause;
  /// Takes it in again.
  using Core::resume;
  /// Forgets a parameter and its state.
  using Core::remove;
  /// Forgets all groups and parameters and frees all memory.
  using Core::clear;

  /// Multiplies the group's weight decay for one parameter from the next step on, as AlphaDecay does; 1 until set.
  /// Throws InvalidArgument for an unknown name and a factor that is negative or not finite.
  using Core::set_decay_factor;
  /// The factor of a parameter's weight decay.
  using Core::decay_factor;

  // ---- steps ----------------------------------------------------------------------------------------------------------

  /// One step of every parameter: direction and apply in as few passes as the rules allow.
  ///
  /// Reads the gradients, writes the parameters and the state; gradients are never modified. Matrices whose gradient
  /// holds a NaN or an infinity are skipped and counted. Throws NumericalError if a host library's decomposition does
  /// not converge; what was not stepped by then counts as skipped. See NonFinite. The first step after parameters were
  /// added or removed allocates and fences. Cost: per matrix, three passes and its map.
  using Core::step;
  /// The directions of all parameters, computed and kept: the first half of a step. State advances, weights do not move.
  using Core::direction;
  /// W ← W − (lr·weight_decay·W + lr·s·D) with the directions D: the second half.
  using Core::apply;
  /// The direction of a parameter between the two, (matrices, rows, cols) in the user's rows and columns: to read, or to
  /// replace, by what other processes have. Memory of the Optimizer, strided where the parameter is.
  using Core::direction_of;

  // ---- state, counts, telemetry ---------------------------------------------------------------------------------------

  /// Names of the state arrays that a parameter has: "momentum", … . Makes arrays that do not exist yet; then it fences.
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
  /// All that a run needs to go on, to list, copy and put back byte by byte (inventory.hpp): what checkpoints are made of.
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
  template <class VW, class VG = VW>
  static constexpr void check_types() {
    static_assert(!std::is_const_v<typename VW::value_type>, "schatten: W is written and must not be const");
    static_assert(int(view_rank<VW>) == int(view_rank<VG>), "schatten: W and G must have the same rank");
    static_assert(ParameterElement<scalar_of<VW>> && ParameterElement<scalar_of<VG>>,
                  "schatten: W and G must be of float, double, Half, BFloat16 or Kokkos' 16-bit types");
    static_assert(sizeof(scalar_of<VW>) <= sizeof(T), "schatten: W has more digits than the Optimizer's scalar");
  }

  template <class VW>
  Parameter parameter_of(GroupId id, std::string name, const VW& w, const ParameterOptions& options) const {
    this->check_new(id, name, view_rank<VW>, "Optimizer::add");
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.extents = optim::extents_of(w);
    parameter.shape = optim::shape_of(w);
    parameter.rank = view_rank<VW>;
    parameter.options = options;
    parameter.weight = optim::typed_batch<Exec>(w, options.row_blocks, "Optimizer::add", "w", parameter.name);
    parameter.weight_owner = std::make_shared<VW>(w);
    return parameter;
  }

  template <class VG>
  static optim::TypedBatch gradient_of(const Parameter& parameter, const VG& g, std::string_view function,
                                       std::string_view argument = "g") {
    const std::string extents = optim::extents_of(g);
    require(extents == parameter.extents, function, optim::argument_of(argument, parameter.name), extents,
            "must have the extents of w, " + parameter.extents);
    return optim::typed_batch<Exec>(g, parameter.options.row_blocks, function, argument, parameter.name);
  }
};

}  // namespace schatten
