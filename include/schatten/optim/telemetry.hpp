// SPDX-License-Identifier: BSD-3-Clause
// Norms of gradients, updates and weights of a step, on request. They stay in device memory until they are read.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/core/workspace.hpp>
#include <schatten/optim/apply.hpp>
#include <schatten/optim/element_norms.hpp>
#include <schatten/optim/parameter.hpp>

#include <cstddef>
#include <vector>

namespace schatten {

/// Norms of one matrix in the last step, as Optimizer::telemetry returns them.
struct MatrixTelemetry {
  double gradient_norm = 0;  ///< ‖g‖_F
  double update_rms = 0;     ///< √(mean (ΔW)²), ΔW = lr·weight_decay·W + lr·s·D
  double weight_rms = 0;     ///< √(mean W²) before the step
  /// update_rms/weight_rms; 0 for a zero weight.
  [[nodiscard]] double ratio() const { return weight_rms == 0 ? 0 : update_rms / weight_rms; }
};

namespace optim {

/// Sets norms(k, i) to those of row i of matrix k for the coming update, by a team: of g, of the update and of W before
/// it. Skipped matrices are not measured.
template <Scalar T, class Space>
struct MeasureRow {
  WeightUpdate<T, Space> update;
  BatchView<const T, Space> direction;  ///< D of each matrix
  FiniteFlags<Space> finite;
  BatchView<double, Space> norms;  ///< rows×3
  /// Measures row i of matrix k.
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k, std::size_t i) const {
    if (!finite(k)) return;
    const MatrixRecord& record = update.records(k);
    const WeightReader<double, Space> weights{update.records, update.master};
    const SplitFactor factor = update.factor.extent(0) > 0 ? update.factor(k) : SplitFactor{};
    const double rate = update.rates.lr() * record.scale, share = update.rates.decay() * record.decay;
    const auto change = [&](std::size_t j) {
      const double w = weights(k, i, j), step = double(direction(k, i, j)) * factor.first * rate * factor.second;
      return with_decay(update.mode, share, [&](const auto& decay) { return decay(w, step); });
    };
    const std::size_t cols = direction.extent(2);
    const double of_gradient =
        norm_by_team(team, cols, [&](std::size_t j) { return load_element<double>(record.gradient, i, j); });
    const double of_update = norm_by_team(team, update.moves(k) ? cols : 0, change);
    const double of_weight = norm_by_team(team, cols, [&](std::size_t j) { return weights(k, i, j); });
    team.once([&] {
      norms(k, i, 0) = of_gradient;
      norms(k, i, 1) = of_update;
      norms(k, i, 2) = of_weight;
    });
  }
};

/// Sets telemetry(number of matrix k) from the norms of its rows, by a team.
template <class Space>
struct JoinTelemetry {
  Records<Space> records;
  FiniteFlags<Space> finite;
  BatchView<const double, Space> norms;
  double elements;                                    ///< of a matrix
  NumberBatchView<MatrixTelemetry, Space> telemetry;  ///< the result
  /// Of matrix k.
  template <class Team>
  KOKKOS_FUNCTION void operator()(const Team& team, std::size_t k) const {
    if (!finite(k)) return;
    double norm[3];
    for (std::size_t of = 0; of < 3; ++of) {
      norm[of] = norm_by_team(team, norms.extent(1), [&](std::size_t i) { return norms(k, i, of); });
    }
    const double root = math::sqrt(elements);
    team.once([&] {
      telemetry(records(k).number) = {norm[0], root == 0 ? 0 : norm[1] / root, root == 0 ? 0 : norm[2] / root};
    });
  }
};

/// Sets the telemetry of a window's matrices to the norms of the coming update. Cost: two launches; g, D and W are read
/// twice.
template <Scalar T, ExecutionSpace Exec, class Space>
void measure_update(const Exec& exec, const WeightUpdate<T, Space>& update, const BatchView<const T, Space>& direction,
                    const FiniteFlags<Space>& finite, const NumberBatchView<MatrixTelemetry, Space>& telemetry,
                    Workspace<Space>& workspace) {
  const typename Workspace<Space>::Frame frame(workspace);
  const std::size_t count = direction.extent(0), rows = direction.extent(1);
  const auto norms = workspace.template batch<double>(count, rows, 3);
  for_each_row_by_team(exec, "schatten::step/telemetry", count, rows,
                       MeasureRow<T, Space>{update, direction, finite, norms});
  const double elements = double(rows) * double(direction.extent(2));
  for_each_matrix_by_team(exec, "schatten::step/join_telemetry", count,
                          JoinTelemetry<Space>{update.records, finite, as_const(norms), elements, telemetry});
}

/// The telemetry of all matrices of an Optimizer, by the matrices' numbers; no memory before it is first resized.
template <ExecutionSpace Exec>
class TelemetryTable {
 public:
  /// Allocates memory for that many matrices. The contents are lost if it grows.
  void resize(const Exec& exec, std::size_t matrices) {
    if (table_.extent(0) < matrices) table_ = Table(Kokkos::view_alloc(exec, "schatten::telemetry"), matrices);
  }
  /// The numbers of all matrices.
  [[nodiscard]] NumberBatchView<MatrixTelemetry, typename Exec::memory_space> view() const { return table_; }

  /// Returns the telemetry of the matrices of some parameters; zeros if nothing was measured. Fences `exec`.
  [[nodiscard]] std::vector<MatrixTelemetry> read(const Exec& exec, const std::vector<Parameter*>& parameters) const {
    decltype(host_mirror(table_)) host;
    if (table_.extent(0) > 0) host = copy_to_host(exec, table_);  // fences: documented
    std::vector<MatrixTelemetry> all;
    for (const Parameter* const p : parameters) {
      for (std::size_t k = p->first_matrix; k < p->first_matrix + p->matrices(); ++k) {
        all.push_back(host.extent(0) > 0 ? host(k) : MatrixTelemetry{});
      }
    }
    return all;
  }

 private:
  using Table = Kokkos::View<MatrixTelemetry*, Kokkos::LayoutRight, typename Exec::device_type>;
  Table table_{};
};

}  // namespace optim

}  // namespace schatten
