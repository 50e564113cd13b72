// SPDX-License-Identifier: BSD-3-Clause
// The map UΣ^pVᵀ of a matrix whose rows, or columns, lie on several ranks.
#pragma once

#include <schatten/core/host_copy.hpp>
#include <schatten/distributed/sum.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/spectral/choose_method.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// What of a matrix a rank holds: some of its rows, or some of its columns, one after the other in the order of ranks.
enum class Side { rows, columns };

/// "rows", "columns".
inline std::string to_string(Side side) { return side == Side::rows ? "rows" : "columns"; }

namespace detail {

/// Where a matrix' packed lower triangle begins, and where row i of it does.
KOKKOS_FUNCTION inline std::size_t triangle(std::size_t n) { return n * (n + 1) / 2; }

/// packed ← (unit/common)²·S, its lower triangle by rows, the diagonal as it is in double.
template <class Gram, class Space>
struct PackTriangle {
  BatchView<const Gram, Space> gram;
  VectorBatchView<double, Space> diagonal;
  NumberBatchView<double, Space> unit, common;  ///< common: may be empty, 1 then
  double* packed;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const double by = common.extent(0) == 0 || unit(b) == 0.0 ? unit(b) : unit(b) / common(b), square = by * by;
    double* const row = packed + b * triangle(gram.extent(1)) + triangle(i);
    for (std::size_t j = 0; j < i; ++j) row[j] = square * double(gram(b, i, j));
    row[i] = square * diagonal(b, i);
  }
};

/// unit ← the largest power of two with unit² <= the largest diagonal element; 0 for a zero matrix, NaN for one with a
/// NaN; total ← unit·common.
template <class Space>
struct UnitOfTriangle {
  const double* packed;
  std::size_t n;
  NumberBatchView<double, Space> common, unit, total;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    const double* const matrix = packed + b * triangle(n);
    std::uint64_t largest = 0;  // as bits, infinities and NaN are larger than every number
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = linalg::detail::magnitude_bits(matrix[triangle(i) + i]);
      largest = bits > largest ? bits : largest;
    }
    const auto d = std::bit_cast<double>(largest);
    int exponent = 0;
    if (linalg::is_finite(d)) (void)std::frexp(d, &exponent);
    unit(b) = !linalg::is_finite(d) ? std::numeric_limits<double>::quiet_NaN()
              : d == 0.0            ? 0.0
                                    : std::ldexp(1.0, (exponent - 1) >> 1);
    total(b) = common.extent(0) == 0 || d == 0.0 ? unit(b) : unit(b) * common(b);
  }
};

/// S ← packed/unit², both triangles, and its diagonal in double.
template <class Gram, class Space>
struct UnpackTriangle {
  const double* packed;
  NumberBatchView<double, Space> unit;
  BatchView<Gram, Space> gram;
  VectorBatchView<double, Space> diagonal;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const bool usable = linalg::is_finite(unit(b)) && unit(b) != 0.0;
    const double inverse = usable ? 1 / unit(b) : 1.0;
    const double* const row = packed + b * triangle(gram.extent(1)) + triangle(i);
    for (std::size_t j = 0; j <= i; ++j) {
      const double x = linalg::is_finite(unit(b)) ? row[j] * inverse * inverse : unit(b);
      gram(b, i, j) = Gram(x);
      gram(b, j, i) = Gram(x);
      if (i == j) diagonal(b, i) = x;
    }
  }
};

/// Numbers of the rows before row i: of a lower triangle, or of a square of n.
KOKKOS_INLINE_FUNCTION std::size_t rows_before(std::size_t i, std::size_t n, bool square) {
  return square ? i * n : triangle(i);
}

/// W by rows behind its matrix' unit, as doubles, and back: what ranks that share functions tell each other. Of a
/// symmetric W the lower triangle.
template <class Work, class Space>
struct PackFunction {
  BatchView<const Work, Space> w;
  NumberBatchView<double, Space> unit;
  double* packed;
  bool square;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t n = w.extent(1);
    double* const matrix = packed + b * (1 + rows_before(n, n, square));
    if (i == 0) matrix[0] = unit(b);
    for (std::size_t j = 0; j < (square ? n : i + 1); ++j) {
      matrix[1 + rows_before(i, n, square) + j] = double(w(b, i, j));
    }
  }
};
template <class Work, class Space>
struct UnpackFunction {
  const double* packed;
  BatchView<Work, Space> w;
  NumberBatchView<double, Space> unit;
  bool square;
  KOKKOS_FUNCTION void operator()(std::size_t b, std::size_t i) const {
    const std::size_t n = w.extent(1);
    const double* const matrix = packed + b * (1 + rows_before(n, n, square));
    if (i == 0) unit(b) = matrix[0];
    for (std::size_t j = 0; j < (square ? n : i + 1); ++j) {
      w(b, i, j) = Work(matrix[1 + rows_before(i, n, square) + j]);
      if (!square) w(b, j, i) = Work(matrix[1 + rows_before(i, n, square) + j]);
    }
  }
};

/// unit ← the largest of all ranks' units, NaN where one is.
template <class Space>
struct LargestUnit {
  const double* all;
  std::size_t batch, ranks;
  NumberBatchView<double, Space> unit;
  KOKKOS_FUNCTION void operator()(std::size_t b) const {
    std::uint64_t largest = 0;
    for (std::size_t k = 0; k < ranks; ++k) {
      const auto bits = linalg::detail::magnitude_bits(all[k * batch + b]);
      largest = bits > largest ? bits : largest;
    }
    unit(b) = std::bit_cast<double>(largest);
  }
};

/// Whether squares of numbers near one of the units may leave the range of double.
inline bool has_extremes(const std::vector<double>& units) {
  return std::any_of(units.begin(), units.end(), [](double unit) {
    return linalg::is_finite(unit) && unit != 0.0 && (unit < 0x1p-300 || unit > 0x1p300);
  });
}

}  // namespace detail

/// Who computes the function r of the Gram matrices of a batch.
enum class Functions {
  each_rank,  ///< every rank all of them, after one all-reduce
  shared      ///< one rank per matrix: it receives the sum and sends the result, for the bytes of an all-reduce
};

/// What a ShardedPower is made for, beside the whole matrix' SpectralPowerOptions.
struct ShardOptions {
  Side side = Side::rows;                      ///< the side that is distributed over ranks
  SumOrder order = SumOrder::library;          ///< in which order the ranks' Gram matrices are added
  Functions functions = Functions::each_rank;  ///< which ranks compute the functions of the sums
};

/// UΣ^pVᵀ of matrices that are spread over ranks, by one sum over ranks: each rank adds its rows' XᵀX to the n×n Gram
/// matrix, computes r(XᵀX) on its own, and multiplies its own rows by it (spectral/rational_power.hpp). n: the side
/// that is whole.
///
/// Functions::shared: for N or more matrices in a call r's n³ flops are shared out, for the bytes of the all-reduce;
/// sums are then in the order of ranks. A rank's rows may be any number, none too. The sum is of n(n+1)/2 doubles a
/// matrix, as many bytes as n×n floats have: what a rank sums in float is added up over ranks in double, so that the
/// promise is that of one process with short side n. The same bits come out whichever rank a row is on as long as
/// shards are the same. On host execution spaces.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class ShardedPower {
 public:
  using Space = typename Exec::memory_space;  ///< where matrices are

  /// All ranks together, with equal arguments but for comm's rank. options: of the whole matrix, its method `automatic`
  /// or `rational`. Throws InvalidArgument on all ranks as SpectralPower does, and where arguments differ.
  ShardedPower(const Comm& comm, const SpectralPowerOptions& options, const ShardOptions& shards = {},
               std::shared_ptr<spectral::Fits> fits = std::make_shared<spectral::Fits>())
      : comm_(&comm), options_(options), shards_(shards) {
    static_assert(is_host_execution_space<Exec>, "schatten: the rational method runs on host execution spaces");
    agree(comm, function_, [&] {
      require(options.method == SpectralMethod::automatic || options.method == SpectralMethod::rational, function_,
              "method", to_string(options.method), "must be automatic or rational");
      SpectralPowerOptions whole = options;
      whole.method = SpectralMethod::rational;
      whole.cols = side_length();
      whole.rows = (std::max)(whole.cols, shards.side == Side::rows ? options.rows : options.cols);
      choice_ = spectral::choose_method<T>(whole, {}, *fits);
      return std::to_string(options.rows) + "x" + std::to_string(options.cols) + " by " + to_string(shards.side) +
             ", power " + schatten::detail::printed(options.power) + ", resolution " +
             schatten::detail::printed(options.resolution) + ", tolerance " +
             schatten::detail::printed(options.tolerance) + ", order " + std::to_string(int(shards.order)) +
             ", functions " + std::to_string(int(shards.functions));
    });
  }

  /// out ← this rank's rows (columns) of U Σ^p Vᵀ for every matrix. All ranks together, with equally many matrices.
  ///
  /// M, out: (rows, cols) or (batch, rows, cols) of this rank, any layout. A NaN or an infinity on any rank makes the
  /// matrix NaN on all. Throws InvalidArgument, RefusedByRank where another rank's arguments are wrong: then no rank
  /// waits.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out) {
    const BatchView<const T, Space> batch_m = as_batch<Exec>(m);
    const BatchView<T, Space> batch_out = as_batch<Exec>(out);
    if (shards_.side == Side::columns) return apply_rows(exec, transpose(batch_m), transpose(batch_out));
    apply_rows(exec, batch_m, batch_out);
  }

  /// Promised relative error of σ^p for σ >= resolution·σ_max, as SpectralPower's.
  [[nodiscard]] double error_bound() const { return choice_.error_bound; }
  /// The number of poles.
  [[nodiscard]] std::size_t poles() const { return choice_.poles(); }
  /// What the Gram matrix and the poles are computed in.
  [[nodiscard]] Format format() const { return choice_.format; }
  /// Bytes that one matrix adds to the sum over ranks.
  [[nodiscard]] std::size_t sum_bytes() const { return detail::triangle(side_length()) * sizeof(double); }
  /// The options of the map, with the extents of the whole matrix.
  [[nodiscard]] const SpectralPowerOptions& options() const { return options_; }

 private:
  static constexpr std::string_view function_ = "distributed::ShardedPower";

  /// The side that every rank has whole.
  [[nodiscard]] std::size_t side_length() const { return shards_.side == Side::rows ? options_.cols : options_.rows; }

  /// M's rows are on several ranks.
  void apply_rows(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out) {
    const typename Workspace<Space>::Frame frame(workspace_);
    const std::size_t batch = m.extent(0);
    const auto unit = workspace_.template numbers<double>(batch);
    std::uint64_t extremes = 0;
    const std::vector<std::uint64_t> found = agree(
        *comm_, "distributed::ShardedPower::apply",
        [&] {
          constexpr std::string_view function = "distributed::ShardedPower::apply";
          require(m.extent(2) == side_length(), function, "m", shape_of(m),
                  "must have the whole " + std::string(shards_.side == Side::rows ? "rows" : "columns") + " of " +
                      std::to_string(side_length()));
          require_shape(out, batch, m.extent(1), m.extent(2), function, "out");
          require_own_elements(out, function, "out");
          require(!overlap(m, out), function, "out", shape_of(out), "must not overlap m");
          spectral::power_of_two_scale(exec, m, unit, workspace_);
          if constexpr (std::is_same_v<T, double>) {
            extremes = detail::has_extremes(values_on_host(exec, unit)) ? 1 : 0;  // fences: documented
          }
          return std::to_string(batch) + " matrices";
        },
        extremes);
    if (batch == 0 || side_length() == 0) return;
    NumberBatchView<double, Space> common;
    const bool any = std::any_of(found.begin(), found.end(), [](std::uint64_t flag) { return flag != 0; });
    if (any) common = largest_units(exec, unit);
    if (choice_.format == Format::scalar) return run<T, T>(exec, m, out, unit, common);
    if constexpr (std::is_same_v<T, float>) {
      if (choice_.format == Format::mixed) return run<float, double>(exec, m, out, unit, common);
      run<double, double>(exec, m, out, unit, common);
    }
  }

  /// The largest unit on any rank, for every matrix.
  NumberBatchView<double, Space> largest_units(const Exec& exec, const NumberBatchView<double, Space>& unit) {
    const std::size_t batch = unit.extent(0);
    const auto ranks = std::size_t(comm_->size());
    const auto all = workspace_.template numbers<double>(ranks * batch);
    const auto common = workspace_.template numbers<double>(batch);
    comm_->all_gather(exec, unit.data(), all.data(), std::vector<std::size_t>(ranks, batch * sizeof(double)));
    for_each_matrix(exec, "schatten::distributed/unit", batch,
                    detail::LargestUnit<Space>{all.data(), batch, ranks, common});
    return common;
  }

  /// The map in precision Work, the Gram matrix in precision Gram. unit: of this rank's rows.
  template <class Work, class Gram>
  void run(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
           const NumberBatchView<double, Space>& unit, const NumberBatchView<double, Space>& common) {
    using spectral::detail::padded;
    const std::size_t batch = m.extent(0), n = m.extent(2);
    const auto normalized = spectral::detail::padded_like<Work>(m, workspace_);
    const auto gram = padded<Gram>(batch, n, n, workspace_);
    const auto diagonal = workspace_.template vectors<double>(batch, n);
    const auto inverse_power = padded<Work>(batch, n, n, workspace_);
    const auto total = workspace_.template numbers<double>(batch);
    double* const packed = workspace_.template numbers<double>(batch * detail::triangle(n)).data();
    if (m.extent(1) > 0) {
      spectral::divide(exec, m, unit, normalized);
      linalg::gram_with_diagonal(exec, as_const(normalized), gram, diagonal);
      for_each_row(exec, "schatten::distributed/pack", batch, n,
                   detail::PackTriangle<Gram, Space>{gram, diagonal, unit, common, packed});
    } else {
      Kokkos::deep_copy(exec, NumberBatchView<double, Space>(packed, batch * detail::triangle(n)), 0.0);
    }
    if (shards_.functions == Functions::shared) {
      share_functions(exec, packed, gram, diagonal, unit, common, total, inverse_power);
    } else {
      sum_over_ranks(exec, *comm_, packed, batch * detail::triangle(n), shards_.order, workspace_);
      functions(exec, packed, gram, diagonal, unit, common, total, inverse_power);
    }
    if (m.extent(1) == 0) return;
    spectral::divide(exec, m, total, normalized);
    with_rational<Work, Gram>([&]<class R>(const R&) {
      spectral::times_inverse_power<Work, R>(exec, as_const(normalized), as_const(inverse_power), out, workspace_);
    });
  }

  /// f(the plan's rational function), of the type that it has in these precisions.
  template <class Work, class Gram, class F>
  void with_rational(const F& f) const {
    if constexpr (!std::is_same_v<Gram, Work>) {
      if (!choice_.composed.poles.empty()) return f(choice_.composed);
    }
    f(choice_.function);
  }

  /// inverse_power ← r of the packed Gram matrices, total ← their units.
  template <class Work, class Gram>
  void functions(const Exec& exec, const double* packed, const BatchView<Gram, Space>& gram,
                 const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                 const NumberBatchView<double, Space>& common, const NumberBatchView<double, Space>& total,
                 const BatchView<Work, Space>& inverse_power) {
    const std::size_t batch = gram.extent(0), n = gram.extent(1);
    for_each_matrix(exec, "schatten::distributed/unit", batch,
                    detail::UnitOfTriangle<Space>{packed, n, common, unit, total});
    for_each_row(exec, "schatten::distributed/unpack", batch, n,
                 detail::UnpackTriangle<Gram, Space>{packed, unit, gram, diagonal});
    with_rational<Work, Gram>([&](const auto& r) {
      spectral::rational_of_gram<Backend>(exec, r, options_.power, as_const(gram), diagonal, total, inverse_power,
                                          workspace_, choice_.fine_poles);
    });
  }

  /// The same of all ranks' sums, each matrix by the rank whose Share it is in.
  template <class Work, class Gram>
  void share_functions(const Exec& exec, const double* packed, const BatchView<Gram, Space>& gram,
                       const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                       const NumberBatchView<double, Space>& common, const NumberBatchView<double, Space>& total,
                       const BatchView<Work, Space>& inverse_power) {
    const std::size_t batch = gram.extent(0), n = gram.extent(1), triangle = detail::triangle(n);
    bool square = false;
    with_rational<Work, Gram>([&]<class R>(const R&) { square = std::is_same_v<R, linalg::ComposedRational>; });
    const std::size_t numbers = detail::rows_before(n, n, square);
    const auto ranks = std::size_t(comm_->size());
    const Share mine = Share::of(batch, std::size_t(comm_->rank()), ranks);
    std::vector<std::size_t> sum_bytes, result_bytes;
    for (std::size_t k = 0; k < ranks; ++k) {
      const std::size_t count = Share::of(batch, k, ranks).count;
      sum_bytes.push_back(count * triangle * sizeof(double));
      result_bytes.push_back(count * (1 + numbers) * sizeof(double));
    }
    double* const parts = workspace_.template numbers<double>(ranks * mine.count * triangle).data();
    double* const result = workspace_.template numbers<double>(mine.count * (1 + numbers)).data();
    double* const all = workspace_.template numbers<double>(batch * (1 + numbers)).data();
    comm_->all_to_all(exec, packed, sum_bytes, parts,
                      std::vector<std::size_t>(ranks, mine.count * triangle * sizeof(double)));
    if (mine.count > 0) {
      double* const sum = workspace_.template numbers<double>(mine.count * triangle).data();
      Kokkos::parallel_for("schatten::distributed/sum", Kokkos::RangePolicy<Exec>(exec, 0, mine.count * triangle),
                           detail::SumParts<double>{parts, sum, mine.count * triangle, ranks});
      const auto some = [&](const auto& of_all) {
        using Numbers = std::remove_cvref_t<decltype(of_all)>;
        return of_all.extent(0) == 0 ? of_all : Numbers(of_all.data() + mine.begin, mine.count);
      };
      const auto w = matrices(inverse_power, 0, mine.count);
      functions(exec, sum, matrices(gram, 0, mine.count),
                VectorBatchView<double, Space>(diagonal.data(), mine.count, n), some(unit), some(common), some(total),
                w);
      for_each_row(exec, "schatten::distributed/pack", mine.count, n,
                   detail::PackFunction<Work, Space>{as_const(w), some(total), result, square});
    }
    comm_->all_gather(exec, result, all, result_bytes);
    for_each_row(exec, "schatten::distributed/unpack", batch, n,
                 detail::UnpackFunction<Work, Space>{all, inverse_power, total, square});
  }

  const Comm* comm_;
  SpectralPowerOptions options_;
  ShardOptions shards_;
  spectral::MethodChoice choice_;
  Workspace<Space> workspace_;
};

}  // namespace schatten::distributed
