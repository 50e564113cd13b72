// SPDX-License-Identifier: BSD-3-Clause
// Norms of gradients, updates and weights of a step, on request. They stay in device memory until they are read.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/optim/apply.hpp>
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

/// √(Σ x²) of numbers of any size: the largest number, and the sum of squares relative to it.
struct ScaledSquares {
  double largest = 0;  ///< largest absolute value
  double sum = 0;      ///< of the squares, each divided by `largest`²
  /// Adds x².
  KOKKOS_FUNCTION void add(double x) {
    const double size = x < 0 ? -x : x;
    if (size == 0) return;
    if (size > largest) {
      sum = 1 + sum * (largest / size) * (largest / size);
      largest = size;
    } else {
      sum += (size / largest) * (size / largest);
    }
  }
  /// The root of the sum.
  [[nodiscard]] KOKKOS_FUNCTION double root() const { return largest * math::sqrt(sum); }
};

/// Sets telemetry(number of matrix k) to the norms of the coming update. One thread per matrix: slow.
template <Scalar T, class Space>
struct Measure {
  WeightUpdate<T, Space> update;                      ///< the coming update
  BatchView<const T, Space> direction;                ///< D of each matrix
  FiniteFlags<Space> finite;                          ///< skipped matrices are not measured
  NumberBatchView<MatrixTelemetry, Space> telemetry;  ///< the result
  /// Measures matrix k.
  KOKKOS_FUNCTION void operator()(std::size_t k) const {
    const MatrixRecord& record = update.records(k);
    if (!finite(k)) return;
    const SplitFactor factor = update.factor.extent(0) > 0 ? update.factor(k) : SplitFactor{};
    ScaledSquares gradient, change, weight;
    for (std::size_t i = 0; i < direction.extent(1); ++i) {
      for (std::size_t j = 0; j < direction.extent(2); ++j) {
        const double w = WeightReader<double, Space>{update.records, update.master}(k, i, j);
        const double step =
            double(direction(k, i, j)) * factor.first * (update.rates.lr() * record.scale) * factor.second;
        gradient.add(load_element<double>(record.gradient, i, j));
        weight.add(w);
        if (!update.moves(k)) continue;
        change.add(with_decay(update.mode, update.rates.decay() * record.decay,
                              [&](const auto& decay) { return decay(w, step); }));
      }
    }
    const double root = math::sqrt(double(direction.extent(1)) * double(direction.extent(2)));
    telemetry(record.number) = {gradient.root(), root == 0 ? 0 : change.root() / root,
                                root == 0 ? 0 : weight.root() / root};
  }
};

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
