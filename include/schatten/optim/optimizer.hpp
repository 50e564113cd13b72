// The optimizer: groups of parameters, their state, and the one step that all algorithms share.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/optim/group.hpp>
#include <schatten/optim/parameter.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/scale.hpp>
#include <schatten/optim/stages.hpp>
#include <schatten/optim/step_counts.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

/// A group of parameters of one Optimizer, as add_group returns it.
struct GroupId {
  std::size_t index;
};

/// Steps parameters that live in the caller's memory. Groups may run different algorithms.
///
/// step() is asynchronous on the execution-space instance as far as the backend is, and from the second call on neither
/// allocates Kokkos memory nor fences (with an interval, from the call after the first one with the power). One Optimizer
/// serves one execution-space instance at a time; several may run side by side. Destroy it before Kokkos::finalize.
template <Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class Optimizer {
 public:
  using memory_space = typename Exec::memory_space;

  explicit Optimizer(const OptimizerOptions& options = {}) : options_(options) {}

  /// Adds an empty group that runs HTMuon, Muon, AdamW or SGD. Throws InvalidArgument for a number out of range.
  template <class Options>
    requires requires(const Options& options) { optim::rule_of(options); }
  GroupId add_group(const Options& options) {
    const optim::UpdateRule rule = optim::rule_of(options);
    optim::check<T>(rule, "Optimizer::add_group");
    if (rule.map == optim::Map::spectral) Group::require_some_shape(rule, fits_);
    groups_.push_back({rule, {}, {}, 0});
    return GroupId{groups_.size() - 1};
  }

  /// Registers a parameter W with its gradient G and allocates its state: zeros, streaming's V columns of I (one fence).
  /// @pre no step of this Optimizer is under way on another execution-space instance.
  ///
  /// W, G: float/double Views of equal extents, rank 1 to 4 (optim::parameter_batch says how they are read as
  /// matrices), any layout; the Views are kept, the memory stays the caller's. Rank 1 only where the algorithm is
  /// elementwise. Throws InvalidArgument, changing nothing, for an empty or known name, an unknown group, extents that
  /// differ, W overlapping G, another parameter or its gradient, and a shape that the group's method cannot serve.
  template <KokkosView VW, KokkosView VG>
  void add(GroupId id, std::string name, const VW& w, const VG& g) {
    static_assert(std::is_same_v<typename VW::value_type, T>,
                  "schatten: W must hold the Optimizer's scalar type, not const");
    static_assert(std::is_same_v<scalar_of<VG>, T>, "schatten: G must hold the Optimizer's scalar type");
    static_assert(int(view_rank<VW>) == int(view_rank<VG>), "schatten: W and G must have the same rank");
    Group& group = at(id, "Optimizer::add");
    require(!name.empty(), "Optimizer::add", "name", name, "must not be empty");
    require(find(name) == nullptr, "Optimizer::add", "name", name, "is registered already");
    const bool spectral = group.rule.map == optim::Map::spectral;
    require(!spectral || view_rank<VW> > 1, "Optimizer::add", "rank of w", int(view_rank<VW>),
            "must be at least 2 in a group with a spectral map; put vectors into a group with AdamW or SGD");
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.weight = optim::parameter_batch<Exec>(w, group.rule.row_blocks, "Optimizer::add", "w");
    parameter.gradient = gradient_of(parameter, g, group.rule.row_blocks, "Optimizer::add");
    check_memory(parameter, "Optimizer::add");
    const SpectralMethod method = group.rule.spectral.method;
    // Two of the published methods do not commute with transposes.
    const bool turns = !spectral || (method != SpectralMethod::newton_schulz && method != SpectralMethod::streaming);
    // A device gives a block of threads to a row: a vector is one row there.
    const bool column = loops_as_on_device<Exec> && !spectral && parameter.weight.extent(2) == 1;
    parameter.transposed =
        turns && parameter.weight.extent(1) > 1 && (column || parameter.weight.stride(1) < parameter.weight.stride(2));
    if (parameter.transposed) {
      parameter.weight = transpose(parameter.weight);
      parameter.gradient = transpose(parameter.gradient);
    }
    if (spectral) (void)Group::plan(group.rule, parameter.weight.extent(1), parameter.weight.extent(2), fits_);
    group.allocate_state(parameter, "Optimizer::add");
    parameter.weight_owner = std::make_shared<VW>(w);
    parameter.gradient_owner = std::make_shared<VG>(g);
    const std::size_t batch = parameter.matrices();
    parameter.first_matrix = matrices_;
    Kokkos::resize(counts_, matrices_ + batch);
    Kokkos::resize(flag_, matrices_ + batch);
    if (options_.non_finite == NonFinite::raise) host_flag_ = host_mirror(flag_);
    group.parameters.push_back(std::move(parameter));
    group.put_in_buckets(options_.batch_bytes, fits_);
    matrices_ += batch;
  }

  /// Replaces a parameter's gradient View, for codes whose gradients move. Same extents. Throws as add does.
  template <KokkosView VG>
  void set_gradient(std::string_view name, const VG& g) {
    static_assert(std::is_same_v<scalar_of<VG>, T>, "schatten: G must hold the Optimizer's scalar type");
    const auto [parameter, group] = find_with_group(name, "Optimizer::set_gradient");
    Parameter changed = *parameter;
    changed.gradient = changed.oriented(gradient_of(*parameter, g, group->rule.row_blocks, "Optimizer::set_gradient"));
    check_memory(changed, "Optimizer::set_gradient");
    parameter->gradient = changed.gradient;
    parameter->gradient_owner = std::make_shared<VG>(g);
    for (Bucket& bucket : group->buckets) bucket.records.invalidate();
  }

  /// One step of every parameter: gradient → momentum → map → scale → decoupled decay → apply.
  ///
  /// Reads the gradients, writes the parameters and the state; gradients are never modified. Matrices whose gradient
  /// holds a NaN or an infinity are skipped and counted. Throws NumericalError if a host library's decomposition does
  /// not converge (the step is then incomplete), and see NonFinite. Cost: per matrix, three passes and its SpectralPower.
  void step(const Exec& exec) {
    const ProfilingRegion region("schatten::Optimizer::step");
    const typename Workspace<memory_space>::Frame frame(workspace_);
    for (Group& group : groups_) {
      for (Bucket& bucket : group.buckets) group.update_records(exec, bucket);
    }
    check_gradients(exec);
    for (Group& group : groups_) {
      ++group.steps;
      const bool between = optim::is_between(group.rule, group.steps);
      const optim::UpdateRule rule = between ? optim::between_rule(group.rule) : group.rule;
      for (const Bucket& bucket : group.buckets) {
        if (rule.map == optim::Map::spectral) {
          spectral_step(exec, group, bucket, rule, between ? *bucket.between : *bucket.plan);
        } else {
          elementwise_step(exec, rule, bucket);
        }
      }
    }
    for_each_matrix(exec, "schatten::step/count", matrices_, optim::CountStep<memory_space>{flags(), counts()});
  }

  /// Learning rate, weight decay and power of a group from the next step on. Throw InvalidArgument and change nothing.
  void set_lr(GroupId id, double lr) {
    change(id, "Optimizer::set_lr", [&](auto& rule) { rule.lr = lr; });
  }
  void set_weight_decay(GroupId id, double weight_decay) {
    change(id, "Optimizer::set_weight_decay", [&](auto& rule) { rule.weight_decay = weight_decay; });
  }
  void set_power(GroupId id, double power) {
    const Group& group = at(id, "Optimizer::set_power");
    require(group.rule.map == optim::Map::spectral, "Optimizer::set_power", "group", id.index,
            "must have a spectral map");
    change(id, "Optimizer::set_power", [&](auto& rule) { rule.spectral.power = power; });
  }
  /// The stages of a group with their present numbers.
  [[nodiscard]] const optim::UpdateRule& rule(GroupId id) const {
    return const_cast<Optimizer&>(*this).at(id, "Optimizer::rule").rule;
  }

  /// f(name, state) for every state array, e.g. ("layers.0.up/momentum", (matrices, rows, cols) View): for checkpoints.
  template <class F>
  void for_each_state(const F& f) const {
    for (const Group& group : groups_) {
      for (const Parameter& parameter : group.parameters) {
        f(parameter.name + "/momentum", parameter.oriented(state(parameter.momentum)));
        if (group.rule.map == optim::Map::adam) {
          f(parameter.name + "/second_moment_root", parameter.oriented(state(parameter.second_moment_root)));
        }
        if (parameter.right_vectors.size() > 0) f(parameter.name + "/right_vectors", state(parameter.right_vectors));
      }
    }
  }

  /// How often groups, parameters and matrices were stepped: for checkpoints, beside for_each_state. Fences `exec`.
  [[nodiscard]] StepCounts step_counts(const Exec& exec) const {
    return optim::read_counts(groups_, copy_to_host(exec, counts_));  // fences: documented
  }

  /// Continues from the counts of an Optimizer with the same groups and parameters. Throws InvalidArgument, changing
  /// nothing, for other numbers of them and for counts that cannot be. Fences `exec`.
  void set_step_counts(const Exec& exec, const StepCounts& counts) {
    optim::check(counts, groups_, "Optimizer::set_step_counts");
    const auto matrices = host_mirror(counts_);
    optim::write_counts(counts, groups_, matrices);
    Kokkos::deep_copy(exec, counts_, matrices);
    exec.fence();  // fences: documented
  }

  /// Matrix steps skipped so far because of a NaN or an infinity in the gradient; of one parameter, or of all.
  /// Fences `exec`.
  [[nodiscard]] long long skipped_steps(const Exec& exec, std::string_view name) const {
    const Parameter* const parameter = find(name);
    require(parameter != nullptr, "Optimizer::skipped_steps", "name", name, "is not registered");
    return skipped(copy_to_host(exec, counts_), *parameter);  // fences: documented
  }
  [[nodiscard]] long long skipped_steps(const Exec& exec) const {
    const auto host = copy_to_host(exec, counts_);  // fences: documented
    long long sum = 0;
    for (const Group& group : groups_) {
      for (const Parameter& parameter : group.parameters) sum += skipped(host, parameter);
    }
    return sum;
  }

 private:
  using Parameter = optim::Parameter<T, Exec>;
  using Storage = typename Parameter::Storage;
  using Group = optim::Group<T, Exec, Backend>;
  using Bucket = typename Group::Bucket;
  using Slice = typename Group::Slice;
  using Plan = typename Group::Plan;

  void check_gradients(const Exec& exec) {
    for_each_matrix(exec, "schatten::step/reset", matrices_, optim::ResetFlags<memory_space>{flags()});
    for (const Group& group : groups_) {
      for (const Bucket& bucket : group.buckets) {
        for_each_row_by_team(exec, "schatten::step/check_gradient", bucket.matrices, bucket.rows,
                             optim::CheckGradientRow<T, memory_space>{bucket.records.view(), bucket.cols, flags()});
      }
    }
    if (options_.non_finite == NonFinite::raise) raise_if_skipped(exec);
  }

  void raise_if_skipped(const Exec& exec) const {
    Kokkos::deep_copy(exec, host_flag_, flag_);
    exec.fence();  // fences: documented
    for (const Group& group : groups_) {
      for (const Parameter& parameter : group.parameters) {
        for (std::size_t b = 0; b < parameter.matrices(); ++b) {
          if (host_flag_(parameter.first_matrix + b) != 0) continue;
          throw NumericalError("schatten::Optimizer::step: the gradient of " + parameter.name +
                               " holds a NaN or an infinity");
        }
      }
    }
  }

  void spectral_step(const Exec& exec, const Group& group, const Bucket& bucket, const optim::UpdateRule& rule,
                     const Plan& plan) {
    const typename Workspace<memory_space>::Frame frame(workspace_);
    const auto direction = workspace_.template batch<T>(bucket.matrices, bucket.rows, bucket.cols);
    const auto mapped = workspace_.template batch<T>(bucket.matrices, bucket.rows, bucket.cols);
    const auto factor = workspace_.template numbers<double>(optim::needs_factor(rule.scale) ? bucket.matrices : 0);
    using Momentum = optim::MomentumDirection<T, memory_space>;
    for_each_element(
        exec, "schatten::step/momentum", bucket.matrices, bucket.rows, bucket.cols,
        optim::StoreDirection<T, memory_space, Momentum>{momentum_direction(rule, bucket), finite(bucket), direction});
    if (plan.method() == SpectralMethod::streaming) {
      group.for_each_slice(bucket, [&](const Parameter& p, const Slice& slice, std::size_t place) {
        plan.apply(exec, matrices(direction, place, slice.count),
                   matrices(state(p.right_vectors), slice.first, slice.count), matrices(mapped, place, slice.count),
                   workspace_);
      });
    } else {
      plan.apply(exec, direction, mapped, workspace_);
    }
    if (optim::needs_factor(rule.scale)) {
      optim::direction_scale(exec, rule.scale, rule.spectral.power, as_const(direction), as_const(mapped), factor,
                             workspace_);
    }
    apply(exec, rule, bucket, optim::StoredDirection<T, memory_space>{mapped}, factor);
  }

  void elementwise_step(const Exec& exec, const optim::UpdateRule& rule, const Bucket& bucket) {
    const NumberBatchView<const double, memory_space> no_factor;
    if (rule.map == optim::Map::identity) {
      return apply(exec, rule, bucket, momentum_direction(rule, bucket), no_factor);
    }
    const typename Workspace<memory_space>::Frame frame(workspace_);
    const auto first = workspace_.template numbers<double>(bucket.matrices);
    const auto second = workspace_.template numbers<double>(bucket.matrices);
    for_each_matrix(exec, "schatten::step/bias_correction", bucket.matrices,
                    optim::BiasCorrection<T, memory_space>{counts(), bucket.records.view(), rule.momentum, rule.beta2,
                                                           first, second});
    const optim::AdamDirection<T, memory_space> adam{
        bucket.records.view(), first,          second, T(rule.momentum), T(1 - rule.momentum), T(rule.beta2),
        T(1 - rule.beta2),     T(rule.epsilon)};
    apply(exec, rule, bucket, adam, no_factor);
  }

  /// The momentum stage of a bucket.
  static optim::MomentumDirection<T, memory_space> momentum_direction(const optim::UpdateRule& rule,
                                                                      const Bucket& bucket) {
    return optim::momentum_direction<T, memory_space>(bucket.records.view(), rule.momentum, rule.momentum_kind,
                                                      rule.nesterov);
  }

  /// Decay and update of a bucket.
  template <class Direction>
  void apply(const Exec& exec, const optim::UpdateRule& rule, const Bucket& bucket, const Direction& direction,
             const NumberBatchView<const double, memory_space>& factor) {
    const T keep = T(1 - rule.lr * rule.weight_decay);
    using Kernel = optim::ApplyDirection<T, memory_space, Direction>;
    for_each_element(exec, "schatten::step/apply", bucket.matrices, bucket.rows, bucket.cols,
                     Kernel{direction, finite(bucket), factor, rule.lr, keep});
  }

  template <class Edit>
  void change(GroupId id, std::string_view function, const Edit& edit) {
    Group& group = at(id, function);
    optim::UpdateRule rule = group.rule;
    edit(rule);
    optim::check<T>(rule, function);
    if (rule.map == optim::Map::spectral && rule.spectral.power != group.rule.spectral.power) {
      Group::require_some_shape(rule, fits_);
      for (const Bucket& bucket : group.buckets) (void)Group::plan(rule, bucket.rows, bucket.cols, fits_);
      for (Bucket& bucket : group.buckets) bucket.plan->set_power(rule.spectral.power);
    }
    group.rule = rule;
  }

  template <KokkosView VG>
  static BatchView<const T, memory_space> gradient_of(const Parameter& parameter, const VG& g, std::size_t row_blocks,
                                                      std::string_view function) {
    const BatchView<const T, memory_space> gradient = optim::parameter_batch<Exec>(g, row_blocks, function, "g");
    require_shape(gradient, parameter.matrices(), parameter.rows(), parameter.cols(), function, "g");
    return gradient;
  }

  void check_memory(const Parameter& parameter, std::string_view function) const {
    optim::require_own_gradient_apart(parameter, function);
    for (const Group& group : groups_) {
      for (const Parameter& other : group.parameters) {
        if (other.name != parameter.name) optim::require_apart(parameter, other, function);
      }
    }
  }

  Group& at(GroupId id, std::string_view function) {
    require(id.index < groups_.size(), function, "group", id.index, "is not a group of this Optimizer");
    return groups_[id.index];
  }

  [[nodiscard]] const Parameter* find(std::string_view name) const {
    for (const Group& group : groups_) {
      for (const Parameter& parameter : group.parameters) {
        if (parameter.name == name) return &parameter;
      }
    }
    return nullptr;
  }

  std::pair<Parameter*, Group*> find_with_group(std::string_view name, std::string_view function) {
    for (Group& group : groups_) {
      for (Parameter& parameter : group.parameters) {
        if (parameter.name == name) return {&parameter, &group};
      }
    }
    throw InvalidArgument(function, "name", std::string(name), "is not registered");
  }

  template <class HostView>
  static long long skipped(const HostView& counts, const Parameter& parameter) {
    long long sum = 0;
    for (std::size_t k = parameter.first_matrix; k < parameter.first_matrix + parameter.matrices(); ++k) {
      sum += counts(k).attempted - counts(k).applied;
    }
    return sum;
  }

  static BatchView<T, memory_space> state(const Storage& s) { return optim::state_batch<T, memory_space>(s); }
  [[nodiscard]] NumberBatchView<int, memory_space> flags() const { return flag_; }
  [[nodiscard]] NumberBatchView<optim::MatrixCounts, memory_space> counts() const { return counts_; }
  /// The flags of a bucket's matrices.
  [[nodiscard]] optim::FiniteFlags<T, memory_space> finite(const Bucket& bucket) const {
    return {flags(), bucket.records.view()};
  }

  OptimizerOptions options_;
  std::shared_ptr<spectral::Fits> fits_ = std::make_shared<spectral::Fits>();  ///< of all plans
  std::vector<Group> groups_;
  std::size_t matrices_ = 0;  ///< of all parameters
  using Flags = Kokkos::View<int*, Kokkos::LayoutRight, typename Exec::device_type>;
  Flags flag_{"schatten::finite", 0};
  decltype(host_mirror(std::declval<Flags>())) host_flag_;  ///< for NonFinite::raise alone
  Kokkos::View<optim::MatrixCounts*, Kokkos::LayoutRight, typename Exec::device_type> counts_{"schatten::counts", 0};
  Workspace<memory_space> workspace_;
};

}  // namespace schatten
