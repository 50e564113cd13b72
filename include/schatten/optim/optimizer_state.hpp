// SPDX-License-Identifier: BSD-3-Clause
// An Optimizer's parameters between steps: their state, counts and telemetry, read and written.
#pragma once

#include <schatten/optim/groups.hpp>
#include <schatten/optim/rates.hpp>
#include <schatten/optim/registry.hpp>
#include <schatten/optim/state_access.hpp>
#include <schatten/optim/step_counters.hpp>
#include <schatten/optim/telemetry.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

namespace optim {

template <Scalar T, ExecutionSpace Exec>
class Inventory;

/// What an Optimizer has, and the functions that read and write it between steps. Optimizer's header documents them
/// (optimizer.hpp).
template <Scalar T, ExecutionSpace Exec>
class OptimizerState {
 public:
  using Space = typename Exec::memory_space;

  explicit OptimizerState(const OptimizerOptions& options) : options_(options) {}

  [[nodiscard]] std::vector<std::string> state_names(const Exec& exec, std::string_view name) {
    const Parameter& p = prepared(exec, name, "Optimizer::state_names");
    std::vector<std::string> names;
    for (const auto& array : bucket_of(p).states()) {
      if (array.memory.size() > 0) names.emplace_back(array.slot.name);
    }
    return names;
  }

  [[nodiscard]] HostState<T> read_state(const Exec& exec, std::string_view name, std::string_view slot) {
    const Parameter& p = prepared(exec, name, "Optimizer::read_state");
    return optim::read_state<T>(exec, find_state(bucket_of(p).states(), slot, "Optimizer::read_state"), p);
  }

  template <class V>
  void write_state(const Exec& exec, std::string_view name, std::string_view slot, const V& values) {
    constexpr bool is_view = KokkosView<V>;
    static_assert(is_view,
                  "schatten: values must be a Kokkos View; schatten::batch_view makes one of a pointer "
                  "(core/views.hpp)");
    if constexpr (is_view) {
      static_assert(view_rank<V> == 3, "schatten: state arrays have rank 3, (matrices, rows, cols)");
      static_assert(accessible_from<Kokkos::HostSpace::execution_space, typename V::memory_space>,
                    "schatten: the host must be able to read the values");
      constexpr std::string_view function = "Optimizer::write_state";
      const Parameter& p = prepared(exec, name, function);
      const StateArray<Exec>& array = find_state(bucket_of(p).states(), slot, function);
      check_state_extents(array, p, values, function);
      optim::write_state<T>(exec, array, p, values);
    }
  }

  [[nodiscard]] std::vector<ParameterCounts> read_counts(const Exec& exec) {
    prepare(exec);
    return counters_.read(exec, *registry_, [&](const Parameter& p) { return groups_[p.group]->steps; });
  }

  void write_counts(const Exec& exec, const std::vector<ParameterCounts>& all) {
    constexpr std::string_view function = "Optimizer::write_counts";
    require_settled(function);
    check_counts(all, *registry_, groups_.size(), function);
    prepare(exec);
    counters_.write(exec, *registry_, all);
    for (const ParameterCounts& counts : all) {
      const Parameter& p = *registry_->find(counts.name);
      groups_[p.group]->steps = static_cast<std::size_t>(counts.group_steps);
      bucket_of(p).forget_steps(p);
    }
  }

  [[nodiscard]] long long skipped_steps(const Exec& exec, std::string_view name) const {
    return counters_.skipped(exec, registry_->parts(name, "Optimizer::skipped_steps"));
  }
  [[nodiscard]] long long skipped_steps(const Exec& exec) const { return counters_.skipped(exec, registry_->all()); }

  [[nodiscard]] std::vector<std::string> non_finite_weights(const Exec& exec) {
    prepare(exec);
    const typename StepCounters<Exec>::Flags flags(
        Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::finite_weights"), matrices_);
    for_each_matrix(exec, "schatten::finite_weights", matrices_, StartFlags<Space>{flags});
    groups_.for_each_bucket([&](Group&, Storage& storage) {
      const FiniteFlags<Space> finite{flags, storage.records().view(0, storage.matrices())};
      check_finite<T, &MatrixRecord::weight>(exec, finite, storage.key().rows, storage.key().cols, 0,
                                             storage.matrices(), storage.records().grouped().weights);
    });
    return cleared_names(copy_to_host(exec, flags), *registry_);  // fences: documented
  }

  void pause(std::string_view name) {
    require_settled("Optimizer::pause");
    for (Parameter* const p : registry_->parts(name, "Optimizer::pause")) p->paused = true;
  }
  void resume(std::string_view name) {
    require_settled("Optimizer::resume");
    for (Parameter* const p : registry_->parts(name, "Optimizer::resume")) p->paused = false;
  }

  void set_decay_factor(std::string_view name, double factor) {
    constexpr std::string_view function = "Optimizer::set_decay_factor";
    require_settled(function);
    const std::vector<Parameter*> parts = registry_->parts(name, function);
    require(std::isfinite(factor) && factor >= 0, function, argument_of("factor", name), factor,
            "must be finite and not negative");
    for (Parameter* const p : parts) {
      p->decay_factor = factor;
      bucket_of(*p).invalidate_records();
    }
    dirty_ = true;
  }
  [[nodiscard]] double decay_factor(std::string_view name) const {
    return registry_->at(name, "Optimizer::decay_factor").decay_factor;
  }

  void set_telemetry(bool on) {
    measures_ = on;
    dirty_ = true;
  }

  [[nodiscard]] std::vector<MatrixTelemetry> telemetry(const Exec& exec, std::string_view name) {
    const std::vector<Parameter*> parts = registry_->parts(name, "Optimizer::telemetry");
    prepare(exec);
    return telemetry_.read(exec, parts);
  }

  [[nodiscard]] double map_error_bound(std::string_view name) const {
    double largest = 0;
    for (const Parameter* const p : registry_->parts(name, "Optimizer::map_error_bound")) {
      largest = (std::max)(largest, groups_[p->group]->map_error(bucket_of(*p)));
    }
    return largest;
  }

 protected:
  friend class Inventory<T, Exec>;
  using Parameter = optim::Parameter;
  using Group = optim::Group<T, Exec>;
  using Storage = BucketStorage<T, Exec>;

  [[nodiscard]] Storage& bucket_of(const Parameter& p) const { return groups_[p.group]->bucket(p.bucket); }

  void require_settled(std::string_view function) const {
    require(!pending_, function, "direction", "pending", "must be applied first, by apply(exec)");
  }

  const Parameter& prepared(const Exec& exec, std::string_view name, std::string_view function) {
    const Parameter& p = registry_->at(name, function);
    prepare(exec);
    return p;
  }

  /// Updates arrays and records to the present parameters and numbers, if something has changed.
  void prepare(const Exec& exec) {
    bool stale = dirty_;
    for (const auto& group : groups_) stale = stale || group->stale;
    if (!stale) return;
    require(Kokkos::is_initialized(), "Optimizer::step", "Kokkos", "not initialized",
            "must be initialized before the first step, for example by a Kokkos::ScopeGuard in main");
    require_not_captured(exec, "Optimizer::step");
    for (const auto& group : groups_) group->prepare(exec);
    make_rates();
    counters_.resize(exec, matrices_, options_.non_finite == NonFinite::raise);
    if (measures_) telemetry_.resize(exec, matrices_);
    dirty_ = false;
  }

  /// Calls f(group, bucket) for all buckets, also for those without matrices.
  template <class F>
  void for_each_storage(const F& f) {
    for (const auto& group : groups_) {
      for (std::size_t k = 0; k < group->buckets(); ++k) f(*group, group->bucket(k));
    }
  }
  /// Makes room for the rates of all buckets in a device's memory. Nothing on hosts.
  void make_rates() {
    if constexpr (RateTable<Exec>::in_memory) {
      std::size_t count = 0;
      for_each_storage([&](Group&, Storage&) { ++count; });
      rate_table_.resize(count);
      rates_.resize(count);
      count = 0;
      for_each_storage([&](Group&, Storage& storage) { storage.rates = rate_table_.of(count++); });
    }
  }
  /// Writes the rates there, if some have changed.
  void write_rates(const Exec& exec, std::string_view function) {
    if constexpr (RateTable<Exec>::in_memory) {
      std::size_t count = 0;
      for_each_storage([&](Group& group, Storage& storage) { rates_[count++] = group.rates(storage.key(), 1); });
      rate_table_.write(exec, rates_, function);
    }
  }

  OptimizerOptions options_;
  std::unique_ptr<Registry> registry_ = std::make_unique<Registry>();
  Groups<T, Exec> groups_;
  std::size_t matrices_ = 0;       ///< of all parameters, removed ones included
  std::size_t live_matrices_ = 0;  ///< of the present ones
  bool dirty_ = false, pending_ = false, measures_ = false;
  RateTable<Exec> rate_table_;
  std::vector<Rates> rates_;  ///< of the present numbers
  StepCounters<Exec> counters_;
  TelemetryTable<Exec> telemetry_;
};

}  // namespace optim

}  // namespace schatten
