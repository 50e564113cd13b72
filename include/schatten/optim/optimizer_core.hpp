// SPDX-License-Identifier: BSD-3-Clause
// The steps of an Optimizer and the list of its parameters: compiled once for all rules and types of parameters.
#pragma once

#include <schatten/optim/optimizer_state.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten {

namespace optim {

/// The base of Optimizer, whose header documents the public functions (optimizer.hpp).
template <Scalar T, ExecutionSpace Exec>
class OptimizerCore : public OptimizerState<T, Exec> {
  using State = OptimizerState<T, Exec>;

 public:
  using typename State::Space;

  explicit OptimizerCore(const OptimizerOptions& options) : State(options) {}

  void step(const Exec& exec) {
    require(!pending_, "Optimizer::step", "direction", "pending", "must be applied first, by apply(exec)");
    const ProfilingRegion region("schatten::Optimizer::step");
    begin_step(exec);
    run(exec, [&](Group& group, const Step& step, Storage& storage, std::size_t first, std::size_t count) {
      step_run(group, step, storage, first, count);
    });
  }
  template <class F>
  void step(const Exec& exec, const F& stepped) {
    require(!pending_, "Optimizer::step", "direction", "pending", "must be applied first, by apply(exec)");
    const ProfilingRegion region("schatten::Optimizer::step");
    begin_step(exec);
    const auto each = [&](Group& group, const Step& step, Storage& storage, std::size_t first, std::size_t count) {
      step_run(group, step, storage, first, count);
    };
    const auto after = [&](Storage& storage, std::size_t first, std::size_t count) {
      storage.for_each_ending_in(first, count, [&](const Parameter& p) { stepped(std::string_view(p.name)); });
    };
    run(exec, each, after, false);
  }

  void direction(const Exec& exec) {
    require(!pending_, "Optimizer::direction", "direction", "pending", "must be applied first, by apply(exec)");
    const ProfilingRegion region("schatten::Optimizer::direction");
    prepare(exec);
    groups_.for_each_bucket([&](Group&, Storage& storage) { storage.make_directions(); });
    begin_step(exec);
    const Step step = context(exec);
    try {
      groups_.for_each_run_in_region(exec, [&](Group& group, Storage& storage, std::size_t first, std::size_t count) {
        if (!storage.key().has_elements()) return;
        group.direction(step, storage, first, count, storage.direction(first, count), storage.factor(first, count));
      });
    } catch (...) {  // no direction is kept: the step counts as skipped
      count_runs(exec, 0);
      throw;
    }
    pending_ = true;
  }

  void apply(const Exec& exec) {
    require(pending_, "Optimizer::apply", "direction", "missing", "must be computed first, by direction(exec)");
    const ProfilingRegion region("schatten::Optimizer::apply");
    write_rates(exec, "Optimizer::apply");
    pending_ = false;
    run(exec, [&](Group& group, const Step& step, Storage& storage, std::size_t first, std::size_t count) {
      const auto d = as_const(storage.direction(first, count));
      if (measures_) group.measure(step, storage, first, count, d, storage.factor(first, count), telemetry_.view());
      group.apply(step, storage, first, count, d, storage.factor(first, count));
    });
  }

  [[nodiscard]] BatchView<T, Space> direction_of(std::string_view name) {
    const Parameter& p = registry_->at(name, "Optimizer::direction_of");
    require(pending_, "Optimizer::direction_of", "direction", "missing", "must be computed first, by direction(exec)");
    const BatchView<T, Space> d = groups_[p.group]->bucket(p.bucket).direction(p.place, p.matrices());
    return p.transposed ? transpose(d) : d;
  }

  void update_numbers(const Exec& exec) {
    prepare(exec);
    write_rates(exec, "Optimizer::update_numbers");
  }

  /// As Optimizer::observe. `input`: with the user's rows and columns, or (matrices, samples, cols) for a layer's
  /// inputs.
  void observe(const Exec& exec, Parameter& p, const TypedBatch& input, std::string_view function) {
    require_settled(function);
    prepare(exec);
    groups_[p.group]->observe(context(exec), bucket_of(p), p, p.oriented(input), function);
  }

  void remove(std::string_view name) {
    require_settled("Optimizer::remove");
    for (const Parameter* const p : registry_->all_parts(name, "Optimizer::remove")) {
      groups_[p->group]->remove(*p);
      live_matrices_ -= p->matrices();
      registry_->remove(*p);
    }
    dirty_ = true;
  }

  [[nodiscard]] std::vector<std::string> part_names(std::string_view name) const {
    std::vector<std::string> names;
    for (const Parameter* const p : registry_->parts(name, "Optimizer::part_names")) names.push_back(p->name);
    return names;
  }

  void clear() {
    const OptimizerOptions options = options_;
    *this = OptimizerCore(options);
  }

 protected:
  using typename State::Group;
  using typename State::Parameter;
  using typename State::Storage;
  using Step = StepContext<T, Exec>;
  using State::bucket_of;
  using State::counters_;
  using State::dirty_;
  using State::groups_;
  using State::live_matrices_;
  using State::matrices_;
  using State::measures_;
  using State::options_;
  using State::pending_;
  using State::prepare;
  using State::registry_;
  using State::require_settled;
  using State::telemetry_;
  using State::write_rates;

  GroupId add_group_of(std::unique_ptr<Group> group) {
    groups_.add(std::move(group));
    return {groups_.size() - 1, registry_.get()};
  }

  [[nodiscard]] Group& at(GroupId id, std::string_view function) const {
    require(id.optimizer == registry_.get(), function, "group", id.index, "is a group of another Optimizer");
    require(id.index < groups_.size(), function, "group", id.index, "is not a group of this Optimizer");
    return *groups_[id.index];
  }

  void check_new(GroupId id, std::string_view name, int rank, std::string_view function) const {
    require_settled(function);
    const Group& group = at(id, function);
    check_name(name, function);
    require(!registry_->has(name), function, "name", name, "is registered already");
    require(!group.only_matrices() || rank > 1, function, argument_of("rank", name), rank,
            {"must be at least 2: ", group.rule_name(), " takes matrices; put vectors into a group with AdamW or SGD"});
  }

  /// Adds a parameter, given as its parts. weight, gradient: the user's Views; gradient: null if there is none yet.
  void add_parameter(GroupId id, std::vector<Parameter> parts, const StridedArray& weight,
                     const StridedArray* gradient) {
    constexpr std::string_view function = "Optimizer::add";
    const std::string& name = parts[0].whole;
    if (gradient != nullptr) {
      require(!overlap(*gradient, weight), function, "g", name, "must not overlap w");
      registry_->check_gradient(*gradient, name, function);
    }
    registry_->check_weight(weight, name, function);
    Group& group = *groups_[id.index];
    for (const Parameter& part : parts) {
      require(part.name == name || !registry_->has(part.name), function, "name", part.name, "is registered already");
      group.check_shape(part, group.key_of(part), function);
    }
    for (Parameter& part : parts) {
      part.group = id.index;
      part.first_matrix = matrices_;
      part.key = random_key(options_.seed, part.name);
      matrices_ += part.matrices();
      live_matrices_ += part.matrices();
      dirty_ = true;
      group.add(registry_->add(std::move(part)));
    }
  }

  void replace_gradient(const std::vector<Parameter*>& parts, const std::vector<Piece>& gradient,
                        const std::shared_ptr<const void>& owner) {
    require_settled("Optimizer::set_gradient");
    for (std::size_t k = 0; k < parts.size(); ++k) {
      registry_->set_gradient(*parts[k], gradient[k], owner);
      bucket_of(*parts[k]).invalidate_records();
    }
    dirty_ = true;
  }

  [[nodiscard]] const std::shared_ptr<spectral::FitCaches>& fits() const { return fits_; }
  [[nodiscard]] bool observes_inputs(const Parameter& p) const { return groups_[p.group]->observes_inputs(); }

 private:
  [[nodiscard]] Step context(const Exec& exec) {
    return {exec, counters_.flags(), counters_.counts(), workspace_, options_.non_finite != NonFinite::skip};
  }

  /// Prepares a step. It first does everything that may throw, then increments the groups' step numbers.
  void begin_step(const Exec& exec) {
    prepare(exec);
    write_rates(exec, "Optimizer::step");
    if (options_.non_finite == NonFinite::raise) raise_non_finite(exec);
    for (const auto& group : groups_) ++group->steps;
  }

  void raise_non_finite(const Exec& exec) {
    groups_.for_each_run([&](Group&, Storage& storage, std::size_t first, std::size_t count) {
      check_finite<T>(exec, counters_.finite(storage.records().view(first, count)), storage.key().rows,
                      storage.key().cols, 0, count, storage.records().grouped().gradients);
    });
    counters_.raise(exec, *registry_, matrices_);  // fences: documented
  }

  void step_run(Group& group, const Step& step, Storage& storage, std::size_t first, std::size_t count) {
    if (!measures_) return group.step(step, storage, first, count);
    const typename Workspace<Space>::Frame frame(workspace_);
    const auto out = workspace_.template batch<T>(count, storage.key().rows, storage.key().cols);
    const auto factor = workspace_.template numbers<SplitFactor>(count);
    group.direction(step, storage, first, count, out, factor);
    group.measure(step, storage, first, count, as_const(out), factor, telemetry_.view());
    group.apply(step, storage, first, count, as_const(out), factor);
  }

  struct Nothing {
    void operator()(Storage&, std::size_t, std::size_t) const {}
  };
  /// Calls f(group, step, bucket, first, count) for all runs, then counts the step. Runs that an exception prevents
  /// count as skipped. after(bucket, first, count) is called when a run with elements has been counted. in_region:
  /// whether to use one region of the host's threads if all groups allow it.
  template <class F, class After = Nothing>
  void run(const Exec& exec, const F& f, const After& after = {}, bool in_region = true) {
    const Step step = context(exec);
    std::size_t done = 0, moved = 0;
    const auto each = [&](Group& group, Storage& storage, std::size_t first, std::size_t count) {
      const bool has_elements = storage.key().has_elements();
      if (has_elements) f(group, step, storage, first, count);
      ++done;
      moved += count;
      if (has_elements) after(storage, first, count);
    };
    try {
      if (in_region) {
        groups_.for_each_run_in_region(exec, each);
      } else {
        groups_.for_each_run(each);
      }
    } catch (...) {
      count_runs(exec, done);
      throw;
    }
    if (moved < live_matrices_) return count_runs(exec, done);
    counters_.count_all(exec, matrices_);
  }

  /// Counts the step of every run, as applied for the first `done` runs.
  void count_runs(const Exec& exec, std::size_t done) {
    std::size_t run = 0;
    groups_.for_each_run([&](Group&, Storage& storage, std::size_t first, std::size_t count) {
      counters_.count(exec, storage.records().view(first, count), run < done);
      ++run;
    });
  }

  std::shared_ptr<spectral::FitCaches> fits_ = std::make_shared<spectral::FitCaches>();  ///< of all plans
  Workspace<Space> workspace_;
};

}  // namespace optim

}  // namespace schatten
