// SPDX-License-Identifier: BSD-3-Clause
// The map UΣ^pVᵀ of a matrix whose rows, or columns, are on several ranks.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/distributed/sharded_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// UΣ^pVᵀ of matrices that are distributed over ranks, by one sum over ranks. Each rank computes XᵀX of its rows X, and
/// all ranks sum these to the n×n Gram matrix S. Each rank computes r(S) and multiplies its rows by it
/// (spectral/rational_power.hpp). n is the length of the side that is not distributed.
///
/// Functions::shared, for calls with N or more matrices: the n³ flops of r are divided between ranks; the bytes are
/// those of the all-reduce, one and a half times these if r is composed. Sums are then in the order of ranks.
/// Functions::poles, for fewer matrices than ranks: the poles of r are divided between ranks; this needs a second sum
/// of n(n+1)/2 numbers, n² if r is composed (function_bytes()). Functions::automatic chooses by RankCost. A rank may
/// have any number of rows, also none. The sum has n(n+1)/2 doubles per matrix, as many bytes as n×n floats. Each
/// rank's sums in float are added over ranks in double, so the error bound is that of one process with short side n.
/// The result is bitwise the same for every assignment of the same shards to ranks. On host execution spaces.
///
/// The methods quintic and iterates need a sum of n(n+1)/2 numbers per quintic, or per segment of iterates, in the type
/// in which their products are summed (sums(), sum_bytes()).
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class ShardedPower {
  using Map = ShardedMap<T, Exec, Backend, Comm>;

 public:
  using Space = typename Exec::memory_space;  ///< where matrices are

  /// All ranks together, with equal types and arguments except for comm's rank. options: those of the whole matrix,
  /// with the method automatic (which is rational), quintic or iterates. Throws InvalidArgument on all ranks as
  /// SpectralPower does, and if arguments differ.
  ShardedPower(const Comm& comm, const SpectralPowerOptions& options, const ShardOptions& shards = {},
               std::shared_ptr<spectral::FitCaches> fits = std::make_shared<spectral::FitCaches>())
      : comm_(&comm) {
    agree(comm, "distributed::ShardedPower", [&] {
      map_.emplace(comm, options, shards, std::move(fits));
      return std::string(std::is_same_v<T, float> ? "float " : "double ") + std::to_string(options.rows) + "x" +
             std::to_string(options.cols) + " by " + to_string(shards.side) + ", power " +
             schatten::detail::printed(options.power) + ", method " + to_string(options.method) + ", schedule " +
             to_string(options.schedule) + " " + std::to_string(options.quintic_steps) + ", epsilon " +
             schatten::detail::printed(options.norm_epsilon) + ", format " + to_string(options.format) +
             ", resolution " + schatten::detail::printed(options.resolution) + ", tolerance " +
             schatten::detail::printed(options.tolerance) + ", order " + std::to_string(int(shards.order)) +
             ", functions " + std::to_string(int(shards.functions)) + " at " + words_of(shards.speed);
    });
  }

  /// out ← this rank's rows (columns) of U Σ^p Vᵀ for every matrix. All ranks together, with the same number of
  /// matrices.
  ///
  /// M, out: (rows, cols) or (batch, rows, cols) of this rank, any layout. If an element is NaN or infinite on one
  /// rank, the result of this matrix is NaN on all ranks. Throws InvalidArgument; on all ranks if their parts together
  /// do not have the rows (columns) of the whole matrix. Throws RefusedByRank if another rank's arguments are wrong; no
  /// rank waits.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out) {
    apply_batch(exec, as_batch<Exec>(m), as_batch<Exec>(out));
  }

  /// The bound of the relative error of σ^p for σ >= resolution·σ_max, as that of SpectralPower.
  [[nodiscard]] double error_bound() const { return map_->error_bound(); }
  /// The number of poles of the rational function; 0 for other methods.
  [[nodiscard]] std::size_t poles() const { return map_->poles(); }
  /// The precisions of the Gram matrix and of the poles.
  [[nodiscard]] Format format() const { return map_->format(); }
  /// The number of sums over ranks in a call: one; for quintics and iterates more.
  [[nodiscard]] std::size_t sums() const { return map_->sums(); }
  /// The bytes of one matrix in each of these sums.
  [[nodiscard]] std::size_t sum_bytes() const { return map_->sum_bytes(); }
  /// How the functions of this number of matrices are divided between ranks; not `automatic`.
  [[nodiscard]] Functions functions(std::size_t matrices) const { return map_->functions(matrices); }
  /// The bytes of one matrix in the second sum of Functions::poles.
  [[nodiscard]] std::size_t function_bytes() const { return map_->function_bytes(); }
  /// The options of the whole matrix.
  [[nodiscard]] const SpectralPowerOptions& options() const { return map_->options(); }

 private:
  void apply_batch(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out) {
    constexpr std::string_view function = "distributed::ShardedPower::apply";
    const typename Workspace<Space>::Frame frame(workspace_);
    const bool by_rows = map_->side() == Side::rows;
    std::uint64_t rows_and_extremes = 0;
    const std::vector<std::uint64_t> found = agree(
        *comm_, function,
        [&] {
          require(m.extent(by_rows ? 2 : 1) == map_->side_length(), function, "m", shape_of(m),
                  {"must have the whole ", by_rows ? "rows" : "columns", " of ", map_->side_length()});
          require_shape(out, m.extent(0), m.extent(1), m.extent(2), function, "out");
          require_own_elements(out, function, "out");
          require(!overlap(m, out), function, "out", shape_of(out), "must not overlap m");
          rows_and_extremes = 2 * m.extent(by_rows ? 1 : 2);
          if constexpr (std::is_same_v<T, double>) {
            const auto unit = workspace_.template numbers<double>(m.extent(0));
            spectral::power_of_two_scale(exec, m, unit, workspace_);
            if (detail::has_extremes(values_on_host(exec, unit))) rows_and_extremes += 1;  // fences: documented
          }
          return std::to_string(m.extent(0)) + " matrices";
        },
        rows_and_extremes);
    std::uint64_t rows = 0, extremes = 0;
    for (const std::uint64_t one : found) {
      rows += one / 2;
      extremes += one % 2;
    }
    require(rows == map_->cut_length(), function, "m", rows,
            {"must be what all ranks have together of ", map_->cut_length(), " ", to_string(map_->side())});
    const bool any = extremes > 0;
    map_->apply(exec, m, out, workspace_, any);
  }

  const Comm* comm_;
  std::optional<Map> map_;
  Workspace<Space> workspace_;
};

}  // namespace schatten::distributed
