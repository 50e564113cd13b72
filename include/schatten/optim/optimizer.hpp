// SPDX-License-Identifier: BSD-3-Clause
// The Optimizer: groups of parameters, each with a rule, and their common step.
#pragma once

#include <schatten/optim/inventory.hpp>
#include <schatten/optim/optimizer_core.hpp>
#include <schatten/optim/requirements.hpp>
#include <schatten/optim/rule_group.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten {

/// Updates parameters in the caller's memory. Groups may have different rules.
///
/// Real: the scalar type T of state and arithmetic, float or double. step() is asynchronous on the execution-space
/// instance if the backend is. From the second call on it allocates no Kokkos memory and does not fence (with an
/// interval from the call after the first one that uses the power). Use an Optimizer with one execution-space instance
/// at a time; several Optimizers may run concurrently. It may be constructed before Kokkos::initialize. Destroy it, or
/// call clear(), before Kokkos::finalize.
template <class Real, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class Optimizer : private optim::OptimizerCore<typename optim::OptimizerScalar<Real>::type, Exec> {
  using T = typename optim::OptimizerScalar<Real>::type;
  using Core = optim::OptimizerCore<T, Exec>;
  using typename Core::Group;
  using typename Core::Parameter;

 public:
  /// Where state and scratch memory are.
  using memory_space = typename Exec::memory_space;

  /// An Optimizer without groups. It has no Kokkos memory.
  explicit Optimizer(const OptimizerOptions& options = {}) : Core(options) {}
  /// Cannot be copied.
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  Optimizer(Optimizer&&) = default;             ///< Takes the groups and parameters of the other.
  Optimizer& operator=(Optimizer&&) = default;  ///< Takes the groups and parameters of the other.

  // ---- groups -----------------------------------------------------------------------------------------------------

  /// Adds an empty group with the rule: HTMuon, Muon, AdamW, SGD, … or a rule of the program (docs/add_a_rule.md).
  /// Returns its id. Throws InvalidArgument for a number out of range.
  template <class R>
  GroupId add_group(const R& rule) {
    if constexpr (optim::require_rule<R>()) {
      using RuleGroup = optim::RuleGroup<R, T, Exec, Backend>;
      if constexpr (RuleGroup::require_direction()) {
        return this->add_group_of(std::make_unique<RuleGroup>(rule, this->options_.batch_bytes, this->fits()));
      }
    }
    return {};
  }

  /// Sets a number of a group by name ("lr", "beta2", "power", …), valid from the next step on. Throws InvalidArgument,
  /// and changes nothing, for an unknown name and for a value out of range.
  void set(GroupId id, std::string_view name, double value) {
    this->at(id, "Optimizer::set").set({{name, value}}, "Optimizer::set");
  }
  /// Sets several numbers; if one is refused, none is set.
  void set(GroupId id, const std::vector<std::pair<std::string_view, double>>& values) {
    this->at(id, "Optimizer::set").set(values, "Optimizer::set");
  }
  /// Sets the learning rate.
  void set_lr(GroupId id, double lr) { this->at(id, "Optimizer::set_lr").set({{"lr", lr}}, "Optimizer::set_lr"); }
  /// Sets the weight decay.
  void set_weight_decay(GroupId id, double weight_decay) {
    this->at(id, "Optimizer::set_weight_decay").set({{"weight_decay", weight_decay}}, "Optimizer::set_weight_decay");
  }
  /// Sets the power p of a rule with a spectral map.
  void set_power(GroupId id, double power) {
    this->at(id, "Optimizer::set_power").set({{"power", power}}, "Optimizer::set_power");
  }
  /// Multiplies the group's lr by the factor from the next step on, for schedules; does not change lr. Throws
  /// InvalidArgument for a factor that is negative or not finite.
  void set_lr_factor(GroupId id, double factor) {
    require(std::isfinite(factor) && factor >= 0, "Optimizer::set_lr_factor", "factor", factor,
            "must be finite and not negative");
    this->at(id, "Optimizer::set_lr_factor").lr_factor = factor;
  }
  /// The factor of the group's lr.
  [[nodiscard]] double lr_factor(GroupId id) const { return this->at(id, "Optimizer::lr_factor").lr_factor; }
  /// Returns a number by name. Throws InvalidArgument for an unknown name.
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

  /// Registers a parameter W with its gradient G. The next step allocates its state; add launches no kernel and
  /// allocates no Kokkos memory.
  /// @pre no step of this Optimizer is under way on another execution-space instance.
  ///
  /// W, G: Views of equal extents, of rank 1 to 4 and any layout (optim::pieces_of describes how they are read as
  /// matrices). Their elements are float, double, Half, BFloat16 or Kokkos' own 16-bit types; W has no more digits than
  /// T. The Optimizer keeps copies of the Views, which share the caller's memory. Rules for matrices refuse rank 1.
  /// Throws InvalidArgument, and changes nothing, for a name that is empty, in use, not UTF-8 or has NUL, an unknown
  /// group, a View without memory, extents that differ, and a shape that the rule refuses; and if W overlaps itself, G,
  /// another parameter or another gradient. Cost: O(log n) for n parameters.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, std::string name, const VW& w, const VG& g, const ParameterOptions& options = {}) {
    if constexpr (optim::check_types<T, Exec, VW, VG>()) {
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
  /// Registers a parameter without a gradient. Steps leave it out until set_gradient.
  template <KokkosView VW>
  void add(GroupId id, std::string name, const VW& w, const ParameterOptions& options = {}) {
    if constexpr (optim::check_types<T, Exec, VW>()) {
      this->add_parameter(id, parts_of(id, name, w, options), strided_array(w), nullptr);
    }
  }
  /// Does not compile. The message names schatten::view and schatten::matrix_view, which return Views of Eigen matrices
  /// and of pointers.
  template <class W, class G>
    requires(!(KokkosView<W> && KokkosView<G>)&&!std::same_as<G, ParameterOptions>)
  void add(GroupId, std::string, const W&, const G&, const ParameterOptions& = {}) {
    optim::check_types<T, Exec, W, G>();
  }
  /// The same without a gradient.
  template <class W>
    requires(!KokkosView<W>)
  void add(GroupId, std::string, const W&, const ParameterOptions& = {}) { optim::check_types<T, Exec, W>(); }

  /// Does not compile: the name is missing, or is no std::string.
  template <class W, class... More>
    requires(!std::convertible_to<const W&, std::string>)
  void add(GroupId, const W&, const More&...) { optim::require_name<W>(); }

  /// Sets or replaces the View of a parameter's gradient, with the same extents. Throws as add does. Cost: O(log n).
  template <class VG>
  void set_gradient(std::string_view name, const VG& g) {
    if constexpr (optim::check_array<Exec, VG>()) {
      const Replacement checked = replacement_of(name, g, "Optimizer::set_gradient");
      this->replace_gradient(checked.parts, checked.gradient, std::make_shared<VG>(g));
    }
  }
  /// The same for a range of pairs (name, View); if one is refused, none is set.
  template <class Range>
  void set_gradients(const Range& gradients) {
    std::vector<Replacement> checked;
    for (const auto& [name, g] : gradients) {
      if constexpr (optim::check_array<Exec, std::remove_cvref_t<decltype(g)>>()) {
        checked.push_back(replacement_of(name, g, "Optimizer::set_gradients"));
      }
    }
    auto next = checked.begin();
    for (const auto& [name, g] : gradients) {
      using View = std::remove_cvref_t<decltype(g)>;
      if constexpr (optim::unmet_by_array<Exec, View>() == 0) {
        this->replace_gradient(next->parts, next->gradient, std::make_shared<View>(g));
        ++next;
      }
    }
  }

  /// Gives a parameter's rule an array that it needs beside the gradient, before the step that uses it. SophiaG needs
  /// the gradient of a loss with sampled labels, MARS the gradient of the previous weights, Newton-Muon the layer's
  /// inputs.
  ///
  /// x has W's extents. A layer's inputs have the extents (samples, columns of W), for a batch of matrices (matrices,
  /// samples, columns); row blocks of a matrix share its inputs. The kernels that read x run in order on `exec`.
  /// Matrices with a NaN or an infinity in x are left out. Throws InvalidArgument for a rule that takes no such array
  /// and for other extents.
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
                {"must be (samples, ", p->cols(), "), before them the matrices of a batch"});
      }
    } else {
      given = gradient_of(*parts[0], x, function, "x");
    }
    for (std::size_t k = 0; k < parts.size(); ++k) Core::observe(exec, *parts[k], given[k].batch, function);
  }
  /// Does not compile, as add.
  template <class V>
    requires(!KokkosView<V>)
  void observe(const Exec&, std::string_view, const V&) { optim::check_array<Exec, V>(); }

  /// Steps leave the parameter out from now on: weight, state and counts stay as they are. Throws InvalidArgument for
  /// an unknown name.
  using Core::pause;
  /// Steps include the parameter again.
  using Core::resume;
  /// Removes a parameter and its state.
  using Core::remove;
  /// Returns the names of a parameter's parts: "qkv[0]", … with ParameterOptions::row_sizes, otherwise its own name.
  using Core::part_names;
  /// Removes all groups and parameters and frees all memory.
  using Core::clear;

  /// Multiplies the group's weight decay for one parameter from the next step on, as AlphaDecay does; 1 until set.
  /// Throws InvalidArgument for an unknown name and a factor that is negative or not finite.
  using Core::set_decay_factor;
  /// The factor of a parameter's weight decay.
  using Core::decay_factor;

  // ---- steps --------------------------------------------------------------------------------------------------------

  /// One step of all parameters that are not paused: direction and apply, in fewer passes.
  ///
  /// Reads the gradients, writes the parameters and the state. Skips and counts matrices whose gradient has a NaN or an
  /// infinity; see NonFinite. Throws NumericalError if a decomposition of a host library does not converge; the
  /// matrices that were not updated before count as skipped. The first step after parameters were added or removed
  /// allocates and fences. Cost: three passes per matrix, and the map.
  ///
  /// step(exec, stepped) has bitwise the same result. It calls stepped(name), with a std::string_view, for each
  /// parameter that it updates and that has elements, after the parameter's last kernel is queued on `exec` and before
  /// those of the next bucket. Kernels that `stepped` queues see the new weight. An exception of `stepped` ends the
  /// step: the parameters that follow count as skipped.
  using Core::step;
  /// Computes and keeps the directions of all parameters: the first half of a step. Changes the state but no weight.
  using Core::direction;
  /// W ← W − (lr·weight_decay·W + lr·s·D) with the directions D: the second half of a step.
  using Core::apply;
  /// Returns the direction of a parameter between direction() and apply() as a View (matrices, rows, cols) of the
  /// Optimizer's memory, with rows and columns as in W. The caller may read it, or overwrite it by what another process
  /// has computed.
  using Core::direction_of;

  /// Brings to the device's kernels what set_lr, set_lr_factor, set_weight_decay and set_decay_factor have changed, in
  /// order with other work on `exec`. For steps that a CUDA graph has captured (docs/gpu.md): call it before a launch;
  /// step, direction and apply do the same. Throws InvalidArgument while `exec` is captured, if something has changed.
  /// Cost: a launch; nothing if nothing has changed, and on hosts.
  using Core::update_numbers;

  // ---- state, counts, telemetry -------------------------------------------------------------------------------------

  /// Returns the names of a parameter's state arrays: "momentum", … . Allocates arrays that do not exist yet; then it
  /// fences.
  using Core::state_names;
  /// Returns a copy of a state array on the host, contiguous, with rows and columns as in W. Fences `exec`.
  using Core::read_state;
  /// Writes a state array from a host View of rank 3 with the extents of read_state. Throws InvalidArgument, and
  /// changes nothing, for other extents and unknown names. Fences `exec`.
  using Core::write_state;
  /// Returns the numbers of steps of each parameter. A resumed run needs these and the state arrays. Fences `exec`.
  using Core::read_counts;
  /// Sets the numbers of steps; the list may have any order. Throws InvalidArgument, and changes nothing, for unknown
  /// names and impossible counts. Fences `exec`.
  using Core::write_counts;
  /// Returns access to all that a resumed run needs (inventory.hpp), as lists and as bytes. Checkpoints use it.
  [[nodiscard]] optim::Inventory<T, Exec> inventory() { return optim::Inventory<T, Exec>(*this); }
  /// Returns the number of matrix steps that were skipped because of a NaN or an infinity in the gradient, of one
  /// parameter or of all. Fences `exec`.
  using Core::skipped_steps;
  /// Returns the names of the parameters whose weights have a NaN or an infinity. Fences `exec`.
  using Core::non_finite_weights;
  /// Turns telemetry on or off. With telemetry a step needs two passes.
  using Core::set_telemetry;
  /// Returns the telemetry of the last step for each matrix of a parameter; zeros before the first. Fences `exec`.
  using Core::telemetry;
  /// Returns the error bound of the parameter's spectral map; 0 if the rule has none.
  using Core::map_error_bound;

 private:
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
      part.extents = optim::extents_of(w).text();
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
    const Words extents = optim::extents_of(g);
    require(extents.text() == part.extents, function, optim::argument_of(argument, part.whole), extents,
            {"must have the extents of w, ", part.extents});
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
