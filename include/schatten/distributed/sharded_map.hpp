// SPDX-License-Identifier: BSD-3-Clause
// The map UΣ^pVᵀ of a matrix whose rows, or columns, are on several ranks. Ranks have compared their arguments before.
#pragma once

#include <schatten/core/copy.hpp>
#include <schatten/distributed/cost_model.hpp>
#include <schatten/distributed/gram_messages.hpp>
#include <schatten/distributed/rank_parts.hpp>
#include <schatten/linalg/norms.hpp>
#include <schatten/spectral/choose_method.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// How the function r of the Gram matrices of a batch is divided between ranks.
enum class Functions {
  each_rank,  ///< every rank computes all, after one all-reduce
  shared,     ///< one rank per matrix: it receives the sums and sends the results, together the bytes of an all-reduce
  poles,      ///< several ranks per matrix, each some poles, after one all-reduce; a second one sums the results
  automatic   ///< the fastest of these by the model of cost_model.hpp, for each number of matrices
};

/// Returns the numbers of a RankSpeed as text, which ranks compare.
inline std::string words_of(const RankSpeed& speed) {
  using schatten::detail::printed;
  return printed(speed.flops) + " " + printed(speed.latency) + " " + printed(speed.bandwidth);
}

/// Options of a ShardedPower, in addition to SpectralPowerOptions of the whole matrix.
struct ShardOptions {
  Side side = Side::rows;
  SumOrder order = SumOrder::library;
  Functions functions = Functions::each_rank;  ///< of the method rational
  RankSpeed speed{};                           ///< the speeds that Functions::automatic uses
};

/// ShardedPower without its checks. Ranks do not compare arguments, so either all ranks refuse them or none.
template <Scalar T, ExecutionSpace Exec, class Backend, Communicator<Exec> Comm>
class ShardedMap {
 public:
  using Space = typename Exec::memory_space;

  /// options: of the whole matrix. Throws InvalidArgument; with equal arguments on all ranks.
  ShardedMap(const Comm& comm, const SpectralPowerOptions& options, const ShardOptions& shards,
             std::shared_ptr<spectral::FitCaches> fits)
      : comm_(&comm), options_(options), shards_(shards), fits_(std::move(fits)), choice_(choose(options)) {
    static_assert(is_host_execution_space<Exec>, "schatten: maps over ranks run on host execution spaces");
  }

  /// Sets p. If it throws InvalidArgument, p does not change.
  void set_power(double power) {
    SpectralPowerOptions options = options_;
    options.power = power;
    choice_ = choose(options);
    options_ = options;
  }

  /// out ← this rank's rows (columns) of U Σ^p Vᵀ. All ranks together, with the same number of matrices. common:
  /// whether ranks exchange their largest elements before the method rational squares them; with the other methods they
  /// always do.
  void apply(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
             Workspace<Space>& workspace, bool common = std::is_same_v<T, double>) const {
    if (m.extent(0) == 0 || side_length() == 0) return;
    const bool turn = shards_.side == Side::columns;
    apply_rows(exec, turn ? transpose(m) : m, turn ? transpose(out) : out, workspace, common);
  }

  /// The bound of the relative error of σ^p for σ >= resolution·σ_max, as that of SpectralPower.
  [[nodiscard]] double error_bound() const { return choice_.error_bound; }
  [[nodiscard]] SpectralMethod method() const { return choice_.method; }
  [[nodiscard]] std::size_t poles() const { return choice_.poles(); }
  [[nodiscard]] Format format() const { return choice_.format; }
  /// The number of sums of Gram matrices over ranks in a call.
  [[nodiscard]] std::size_t sums() const {
    if (choice_.method == SpectralMethod::quintic) return quintics().size();
    if (choice_.method == SpectralMethod::rational) return 1;
    return spectral::IterateSegments(choice_.iterates.fit.steps.size(), choice_.iterates.form).count();
  }
  /// The bytes of one matrix in each of these sums.
  [[nodiscard]] std::size_t sum_bytes() const {
    const bool narrow =
        std::is_same_v<T, float> && choice_.method != SpectralMethod::rational && choice_.format != Format::float64;
    return detail::triangle(side_length()) * (narrow ? sizeof(float) : sizeof(double));
  }
  /// How functions are divided in a call with this number of matrices: not `automatic`; for one rank each_rank.
  [[nodiscard]] Functions functions(std::size_t matrices) const {
    if (comm_->size() == 1 || method() != SpectralMethod::rational) return Functions::each_rank;
    if (shards_.functions != Functions::automatic) return shards_.functions;
    const RankCost cost{shards_.speed};
    const RankProblem p = problem(matrices);
    const double each = cost.one_sum(p, false), shared = cost.one_sum(p, true), poles = cost.two_sums(p);
    return poles < (std::min)(each, shared) ? Functions::poles
           : shared < each                  ? Functions::shared
                                            : Functions::each_rank;
  }
  /// The bytes of one matrix in the second sum of Functions::poles.
  [[nodiscard]] std::size_t function_bytes() const {
    const std::size_t n = side_length(), numbers = detail::rows_before(n, n, composed());
    return numbers * (choice_.format == Format::float64 ? sizeof(double) : sizeof(T));
  }
  [[nodiscard]] const SpectralPowerOptions& options() const { return options_; }
  [[nodiscard]] Side side() const { return shards_.side; }
  /// The length of the side that is not distributed.
  [[nodiscard]] std::size_t side_length() const { return shards_.side == Side::rows ? options_.cols : options_.rows; }

  /// The length of the distributed side.
  [[nodiscard]] std::size_t cut_length() const { return shards_.side == Side::rows ? options_.rows : options_.cols; }

 private:
  [[nodiscard]] std::span<const spectral::Quintic> quintics() const {
    return spectral::quintics_of(options_.schedule, options_.quintic_steps);
  }

  [[nodiscard]] bool composed() const { return !choice_.composed.poles.empty(); }
  /// A call with this number of matrices as arguments of the cost model. A composed function has a pole in double, and
  /// products of 7n³/3 flops, which every rank repeats.
  [[nodiscard]] RankProblem problem(std::size_t matrices) const {
    const auto n = double(side_length());
    return {double(matrices),
            double(cut_length()),
            n,
            double(function_bytes()) / (0.5 * n * (n + 1)),
            double(comm_->size()),
            double(composed() ? choice_.composed.poles.size() : choice_.function.poles.size()),
            composed() ? 4.9 : 1.2};
  }

  /// The Gram matrix has the length of the whole side, also if it is the longer one: the error bound is for this number
  /// of columns.
  [[nodiscard]] spectral::MethodChoice choose(const SpectralPowerOptions& options) const {
    const bool serves = options.method == SpectralMethod::automatic || options.method == SpectralMethod::rational ||
                        options.method == SpectralMethod::quintic || options.method == SpectralMethod::iterates;
    require(serves, "distributed::ShardedPower", "method", to_string(options.method),
            "must be automatic, rational, quintic or iterates");
    SpectralPowerOptions whole = options;
    if (whole.method == SpectralMethod::automatic) whole.method = SpectralMethod::rational;
    whole.cols = side_length();
    whole.rows = (std::max)(whole.cols, cut_length());
    return spectral::choose_method<T>(whole, {}, *fits_);
  }

  void apply_rows(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                  Workspace<Space>& workspace, bool common) const {
    if (choice_.method == SpectralMethod::rational) return rational(exec, m, out, workspace, common);
    const RankParts<Exec, Comm> parts{
        comm_, shards_.order, &workspace, cut_length(), double(cut_length()) * double(side_length()),
        false};  // norms are relative to the common unit
    spectral::in_format<T>(choice_.format, [&]<class Work>() {
      if (choice_.method == SpectralMethod::quintic) {
        spectral::quintic_iteration_of_rows<Work, Backend>(exec, quintics(), m, out, workspace, options_.norm_epsilon,
                                                           parts);
      } else {
        spectral::iterate_power_of_rows<Work, Backend>(exec, choice_.iterates.fit, choice_.iterates.form,
                                                       options_.power, m, out, workspace, parts);
      }
    });
  }

  void rational(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
                Workspace<Space>& workspace, bool ask) const {
    const typename Workspace<Space>::Frame frame(workspace);
    const std::size_t batch = m.extent(0);
    const auto unit = workspace.template numbers<double>(batch);
    spectral::power_of_two_scale(exec, m, unit, workspace);
    NumberBatchView<double, Space> common;
    if (ask) {
      common = workspace.template numbers<double>(batch);
      Kokkos::deep_copy(exec, common, unit);
      detail::reduce_over_ranks(exec, *comm_, common.data(), batch, detail::Larger{}, workspace);
    }
    if (choice_.format == Format::scalar) return run<T, T>(exec, m, out, unit, common, workspace);
    if constexpr (std::is_same_v<T, float>) {
      if (choice_.format == Format::mixed) return run<float, double>(exec, m, out, unit, common, workspace);
      run<double, double>(exec, m, out, unit, common, workspace);
    }
  }

  /// The map in precision Work, the Gram matrix in precision Gram. unit: of this rank's rows.
  template <class Work, class Gram>
  void run(const Exec& exec, const BatchView<const T, Space>& m, const BatchView<T, Space>& out,
           const NumberBatchView<double, Space>& unit, const NumberBatchView<double, Space>& common,
           Workspace<Space>& workspace) const {
    using spectral::detail::padded;
    const std::size_t batch = m.extent(0), n = m.extent(2);
    const auto normalized = spectral::detail::padded_like<Work>(m, workspace);
    const auto gram = padded<Gram>(batch, n, n, workspace);
    const auto diagonal = workspace.template vectors<double>(batch, n);
    const auto inverse_power = padded<Work>(batch, n, n, workspace);
    const auto total = workspace.template numbers<double>(batch);
    double* const packed = workspace.template numbers<double>(batch * detail::triangle(n)).data();
    if (m.extent(1) > 0) {
      spectral::divide(exec, m, unit, normalized);
      linalg::gram_with_diagonal(exec, as_const(normalized), gram, diagonal);
      for_each_row(exec, "schatten::distributed/pack", batch, n,
                   detail::PackTriangle<Gram, Space>{gram, diagonal, unit, common, packed});
    } else {
      Kokkos::deep_copy(exec, NumberBatchView<double, Space>(packed, batch * detail::triangle(n)), 0.0);
    }
    const Functions way = this->functions(batch);
    if (way == Functions::shared) {
      share_functions(exec, packed, gram, diagonal, unit, common, total, inverse_power, workspace);
    } else {
      sum_over_ranks(exec, *comm_, packed, batch * detail::triangle(n), shards_.order, workspace);
      if (way == Functions::poles) {
        share_poles(exec, packed, gram, diagonal, unit, common, total, inverse_power, workspace);
      } else {
        functions_of(exec, packed, gram, diagonal, unit, common, total, inverse_power, workspace);
      }
    }
    if (m.extent(1) == 0) return;
    spectral::divide(exec, m, total, normalized);
    with_rational<Work, Gram>([&]<class R>(const R&) {
      spectral::times_inverse_power<Work, R>(exec, as_const(normalized), as_const(inverse_power), out, workspace);
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
  void functions_of(const Exec& exec, const double* packed, const BatchView<Gram, Space>& gram,
                    const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                    const NumberBatchView<double, Space>& common, const NumberBatchView<double, Space>& total,
                    const BatchView<Work, Space>& inverse_power, Workspace<Space>& workspace) const {
    const std::size_t batch = gram.extent(0), n = gram.extent(1);
    for_each_matrix(exec, "schatten::distributed/unit", batch,
                    detail::UnitOfTriangle<Space>{packed, n, common, unit, total});
    for_each_row(exec, "schatten::distributed/unpack", batch, n,
                 detail::UnpackTriangle<Gram, Space>{packed, unit, gram, diagonal});
    with_rational<Work, Gram>([&](const auto& r) {
      spectral::rational_of_gram<Backend>(exec, r, options_.power, as_const(gram), diagonal, total, inverse_power,
                                          workspace, choice_.fine_poles);
    });
  }

  /// The same for the sums of all ranks. Each matrix is computed by the rank whose Share has it.
  template <class Work, class Gram>
  void share_functions(const Exec& exec, const double* packed, const BatchView<Gram, Space>& gram,
                       const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                       const NumberBatchView<double, Space>& common, const NumberBatchView<double, Space>& total,
                       const BatchView<Work, Space>& inverse_power, Workspace<Space>& workspace) const {
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
    double* const parts = workspace.template numbers<double>(ranks * mine.count * triangle).data();
    double* const result = workspace.template numbers<double>(mine.count * (1 + numbers)).data();
    double* const all = workspace.template numbers<double>(batch * (1 + numbers)).data();
    comm_->all_to_all(exec, packed, sum_bytes, parts,
                      std::vector<std::size_t>(ranks, mine.count * triangle * sizeof(double)));
    if (mine.count > 0) {
      double* const sum = workspace.template numbers<double>(mine.count * triangle).data();
      for_each_index(exec, "schatten::distributed/sum", mine.count * triangle,
                     detail::SumParts<double>{parts, sum, mine.count * triangle, ranks});
      const auto w = matrices(inverse_power, 0, mine.count);
      functions_of(exec, sum, matrices(gram, 0, mine.count),
                   VectorBatchView<double, Space>(diagonal.data(), mine.count, n), some(unit, mine), some(common, mine),
                   some(total, mine), w, workspace);
      for_each_row(exec, "schatten::distributed/pack", mine.count, n,
                   detail::PackFunction<Work, Space>{as_const(w), some(total, mine), result, square});
    }
    comm_->all_gather(exec, result, all, result_bytes);
    for_each_row(exec, "schatten::distributed/unpack", batch, n,
                 detail::UnpackFunction<Work, Space>{all, inverse_power, total, square});
  }

  /// The same if ranks share the poles of a matrix. Each group of ranks has a share of the matrices, and each rank of a
  /// group some of the poles. A sum over all ranks adds the results. The sums of Gram matrices are equal or nearly
  /// equal on all ranks.
  template <class Work, class Gram>
  void share_poles(const Exec& exec, const double* packed, const BatchView<Gram, Space>& gram,
                   const VectorBatchView<double, Space>& diagonal, const NumberBatchView<double, Space>& unit,
                   const NumberBatchView<double, Space>& common, const NumberBatchView<double, Space>& total,
                   const BatchView<Work, Space>& inverse_power, Workspace<Space>& workspace) const {
    const typename Workspace<Space>::Frame frame(workspace);
    const std::size_t batch = gram.extent(0), n = gram.extent(1);
    const auto rank = std::size_t(comm_->rank()), ranks = std::size_t(comm_->size());
    const auto together = std::size_t(problem(batch).ranks_of_function()), groups = ranks / together;
    const Share mine = rank / together < groups ? Share::of(batch, rank / together, groups) : Share{0, 0};
    for_each_matrix(exec, "schatten::distributed/unit", batch,
                    detail::UnitOfTriangle<Space>{packed, n, common, unit, total});
    with_rational<Work, Gram>([&]<class R>(const R& r) {
      constexpr bool square = std::is_same_v<R, linalg::ComposedRational>;
      const std::size_t numbers = detail::rows_before(n, n, square);
      const auto squares = workspace.template batch<Work>(square ? batch : 0, n, n);
      const auto triangles = workspace.template numbers<Work>(square ? 0 : batch * numbers);
      const NumberBatchView<Work, Space> sum(square ? squares.data() : triangles.data(), batch * numbers);
      const auto move = [&](const BatchView<Work, Space>& w, std::size_t first, bool back) {
        if constexpr (square) {
          const auto part = matrices(squares, first, w.extent(0));
          copy_elements(exec, "schatten::distributed/pack", as_const(back ? part : w), back ? w : part);
        } else {
          for_each_row(exec, "schatten::distributed/pack", w.extent(0), n,
                       detail::MoveTriangle<Work, Work, Space>{w, sum.data() + first * numbers, back});
        }
      };
      Kokkos::deep_copy(exec, sum, Work(0));
      const R part = detail::part_of(r, rank % together, together);  // lives until the sum below is complete
      if (mine.count > 0) {
        const auto grams = matrices(gram, mine.begin, mine.count);
        const VectorBatchView<double, Space> diagonals(diagonal.data() + mine.begin * n, mine.count, n);
        const auto w = matrices(inverse_power, mine.begin, mine.count);
        for_each_row(exec, "schatten::distributed/unpack", mine.count, n,
                     detail::UnpackTriangle<Gram, Space>{packed + mine.begin * detail::triangle(n), some(unit, mine),
                                                         grams, diagonals});
        const std::size_t fine = choice_.fine_poles, first = rank % together;
        spectral::rational_of_gram<Backend>(exec, part, options_.power, as_const(grams), diagonals, some(total, mine),
                                            w, workspace, fine > first ? (fine - first - 1) / together + 1 : 0);
        move(w, mine.begin, false);
      }
      sum_over_ranks(exec, *comm_, sum.data(), batch * numbers, shards_.order, workspace);
      move(inverse_power, 0, true);
    });
  }

  /// The numbers of a batch that belong to a share of its matrices. May be empty.
  template <class Numbers>
  static Numbers some(const Numbers& all, const Share& share) {
    return all.extent(0) == 0 ? all : Numbers(all.data() + share.begin, share.count);
  }

  const Comm* comm_;
  SpectralPowerOptions options_;
  ShardOptions shards_;
  std::shared_ptr<spectral::FitCaches> fits_;
  spectral::MethodChoice choice_;
};

}  // namespace schatten::distributed
