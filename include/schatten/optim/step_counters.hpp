// SPDX-License-Identifier: BSD-3-Clause
// For every matrix of an Optimizer: whether its gradient is finite in the present step, and its number of steps.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/optim/registry.hpp>
#include <schatten/optim/skip.hpp>
#include <schatten/optim/state_access.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::optim {

/// Returns the counts of a parameter from those of all matrices.
template <class HostView>
ParameterCounts counts_of(const HostView& counts, const Parameter& p, std::size_t group_steps) {
  ParameterCounts its{p.name, static_cast<long long>(group_steps), 0, {}};
  for (std::size_t k = p.first_matrix; k < p.first_matrix + p.matrices(); ++k) {
    its.attempted = counts(k).attempted;
    its.applied.push_back(counts(k).applied);
  }
  return its;
}

/// Returns the number of steps of a parameter's matrices that were skipped.
template <class HostView>
long long skipped_of(const HostView& counts, const Parameter& p) {
  long long sum = 0;
  for (std::size_t k = p.first_matrix; k < p.first_matrix + p.matrices() && k < counts.extent(0); ++k) {
    sum += counts(k).attempted - counts(k).applied;
  }
  return sum;
}

/// Whether one of a parameter's matrices has the flag 0.
template <class HostView>
bool any_flag_cleared(const HostView& flags, const Parameter& p) {
  for (std::size_t b = 0; b < p.matrices(); ++b) {
    if (flags(p.first_matrix + b) == 0) return true;
  }
  return false;
}

/// Throws InvalidArgument for counts that the Optimizer's parameters cannot have, and for parameters of one group with
/// different numbers of the group's steps. groups: number of groups.
inline void check_counts(const std::vector<ParameterCounts>& all, const Registry& registry, std::size_t groups,
                         std::string_view function) {
  std::vector<long long> group_steps(groups, -1);
  for (const ParameterCounts& counts : all) {
    const Parameter& p = registry.at(counts.name, function);
    check_counts(counts, p, function);
    long long& steps = group_steps[p.group];
    require(steps < 0 || steps == counts.group_steps, function, argument_of("group_steps", p.name), counts.group_steps,
            {"must be that of the other parameters of its group, ", steps});
    steps = counts.group_steps;
  }
}

/// Returns the names of the parameters that have a matrix with the flag 0. flags: on the host.
template <class HostView>
std::vector<std::string> cleared_names(const HostView& flags, const Registry& registry) {
  std::vector<std::string> names;
  registry.for_each([&](const Parameter& p) {
    if (any_flag_cleared(flags, p)) names.push_back(p.name);
  });
  return names;
}

/// Flags and counts of all matrices of an Optimizer, in memory that kernels read; by the matrices' numbers.
template <ExecutionSpace Exec>
class StepCounters {
 public:
  using Space = typename Exec::memory_space;
  using Flags = Kokkos::View<int*, Kokkos::LayoutRight, typename Exec::device_type>;
  using Counts = Kokkos::View<MatrixCounts*, Kokkos::LayoutRight, typename Exec::device_type>;

  /// Allocates memory for that many matrices; counts do not change. on_host: also allocates the host copy that raise
  /// needs.
  void resize(const Exec& exec, std::size_t matrices, bool on_host) {
    if (flags_.extent(0) >= matrices) return;
    const Flags flags(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::finite"), matrices);
    const Counts counts(Kokkos::view_alloc(exec, "schatten::counts"), matrices);
    for_each_matrix(exec, "schatten::finite", matrices, StartFlags<Space>{flags});
    const std::pair<std::size_t, std::size_t> old(0, counts_.extent(0));
    if (old.second > 0) Kokkos::deep_copy(exec, Kokkos::subview(counts, old), counts_);
    exec.fence();  // fences: documented. The old counts are read until here
    flags_ = flags;
    counts_ = counts;
    if (on_host) host_flags_ = host_mirror(flags_);
  }

  [[nodiscard]] const Flags& flags() const { return flags_; }
  [[nodiscard]] const Counts& counts() const { return counts_; }
  /// The flags of the matrices of these records.
  [[nodiscard]] FiniteFlags<Space> finite(const Records<Space>& records) const { return {flags_, records}; }

  /// Counts a step of the matrices with these records, as applied or not, and sets their flags to 1.
  void count(const Exec& exec, const Records<Space>& records, bool applied) const {
    for_each_matrix(exec, "schatten::step/count", records.extent(0),
                    CountStep<Space>{flags_, records, counts_, applied});
  }
  /// Counts a step of the first `matrices` of all matrices and sets their flags to 1.
  void count_all(const Exec& exec, std::size_t matrices) const {
    for_each_matrix(exec, "schatten::step/count", matrices, CountStep<Space>{flags_, {}, counts_, true});
  }
  /// Sets all flags to 1.
  void start(const Exec& exec, std::size_t matrices) const {
    for_each_matrix(exec, "schatten::finite", matrices, StartFlags<Space>{flags_});
  }

  /// Throws NumericalError for the first active parameter that has a flag 0; all of the first `matrices` flags are 1
  /// then. Fences `exec`. @pre resize was called with on_host.
  void raise(const Exec& exec, const Registry& registry, std::size_t matrices) const {
    Kokkos::deep_copy(exec, host_flags_, flags_);
    exec.fence();  // fences: documented
    registry.for_each([&](const Parameter& p) {
      if (!p.active() || !any_flag_cleared(host_flags_, p)) return;
      start(exec, matrices);
      throw NumericalError("schatten::Optimizer::step: the gradient of " + p.name +
                           " holds a NaN or an infinity; nothing was changed (NonFinite::raise)");
    });
  }

  /// Returns the counts of every parameter. steps_of(p): the steps of p's group. Fences `exec`.
  template <class StepsOf>
  [[nodiscard]] std::vector<ParameterCounts> read(const Exec& exec, const Registry& registry,
                                                  const StepsOf& steps_of) const {
    const auto host = copy_to_host(exec, counts_);  // fences: documented
    std::vector<ParameterCounts> all;
    registry.for_each([&](const Parameter& p) { all.push_back(counts_of(host, p, steps_of(p))); });
    return all;
  }
  /// Writes the counts, without the steps of groups. Fences `exec`. @pre check_counts has passed.
  void write(const Exec& exec, const Registry& registry, const std::vector<ParameterCounts>& all) const {
    const auto host = copy_to_host(exec, counts_);  // fences: documented
    for (const ParameterCounts& counts : all) {
      const Parameter& p = *registry.find(counts.name);
      for (std::size_t b = 0; b < p.matrices(); ++b) {
        host(p.first_matrix + b) = MatrixCounts{counts.attempted, counts.applied[b]};
      }
    }
    Kokkos::deep_copy(exec, counts_, host);
    exec.fence();  // fences: documented
  }
  /// Returns the number of matrix steps of these parameters that were skipped. Fences `exec`.
  [[nodiscard]] long long skipped(const Exec& exec, const std::vector<Parameter*>& parameters) const {
    const auto host = copy_to_host(exec, counts_);  // fences: documented
    long long sum = 0;
    for (const Parameter* const p : parameters) sum += skipped_of(host, *p);
    return sum;
  }

 private:
  Flags flags_{};
  decltype(host_mirror(std::declval<Flags>())) host_flags_{};
  Counts counts_{};
};

}  // namespace schatten::optim
