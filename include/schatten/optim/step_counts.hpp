// What an Optimizer counts, for checkpoints.
#pragma once

#include <schatten/core/error.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

/// How often an Optimizer has stepped what it holds; parameters and matrices in the order of for_each_state.
struct StepCounts {
  std::vector<long long> groups;      ///< HTMuonOptions::interval goes by these
  std::vector<long long> parameters;  ///< skipped steps included
  std::vector<long long> matrices;    ///< skipped steps left out: AdamW's bias correction goes by these
};

namespace optim {

/// The same of one matrix, in the memory that kernels read.
struct MatrixCounts {
  long long attempted = 0;  ///< skipped steps included
  long long applied = 0;
};

/// The counts of groups whose matrices' are in `matrices`, a View on the host.
template <class Groups, class Matrices>
StepCounts read_counts(const Groups& groups, const Matrices& matrices) {
  StepCounts counts;
  for (const auto& group : groups) {
    counts.groups.push_back(static_cast<long long>(group.steps));
    for (const auto& parameter : group.parameters) {
      const std::size_t first = parameter.first_matrix, end = first + parameter.matrices();
      counts.parameters.push_back(first == end ? 0 : matrices(first).attempted);
      for (std::size_t k = first; k < end; ++k) counts.matrices.push_back(matrices(k).applied);
    }
  }
  return counts;
}

/// Throws InvalidArgument, in the name of `function`, for counts that these groups cannot have.
template <class Groups>
void check(const StepCounts& counts, const Groups& groups, std::string_view function) {
  constexpr long long most = 1LL << 50;
  std::size_t parameters = 0, matrices = 0;
  for (const auto& group : groups) {
    parameters += group.parameters.size();
    for (const auto& parameter : group.parameters) matrices += parameter.matrices();
  }
  const auto check_one = [&](const std::vector<long long>& values, std::size_t length, const std::string& name) {
    require(values.size() == length, function, "number of " + name, values.size(),
            "must be that of the Optimizer, " + std::to_string(length));
    for (const long long value : values) require(value >= 0 && value <= most, function, name, value, "is no count");
  };
  check_one(counts.groups, groups.size(), "groups");
  check_one(counts.parameters, parameters, "parameters");
  check_one(counts.matrices, matrices, "matrices");
  std::size_t p = 0, m = 0;
  for (const auto& group : groups) {
    for (const auto& parameter : group.parameters) {
      for (std::size_t b = 0; b < parameter.matrices(); ++b, ++m) {
        require(counts.matrices[m] <= counts.parameters[p], function, "matrices", counts.matrices[m],
                "must not exceed the steps of " + parameter.name);
      }
      ++p;
    }
  }
}

/// The other way round. @pre check
template <class Groups, class Matrices>
void write_counts(const StepCounts& counts, Groups& groups, const Matrices& matrices) {
  std::size_t g = 0, p = 0, m = 0;
  for (auto& group : groups) {
    group.steps = static_cast<std::size_t>(counts.groups[g++]);
    for (auto& parameter : group.parameters) {
      for (std::size_t b = 0; b < parameter.matrices(); ++b) {
        matrices(parameter.first_matrix + b) = MatrixCounts{counts.parameters[p], counts.matrices[m++]};
      }
      ++p;
    }
  }
}

}  // namespace optim

}  // namespace schatten
