// SPDX-License-Identifier: BSD-3-Clause
// The map M = UΣVᵀ ↦ UΣ^pVᵀ as a plan for one shape and accuracy.
#pragma once

#include <schatten/spectral/choose_method.hpp>
#include <schatten/spectral/map_region.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

namespace schatten {

/// Computes U Σ^p Vᵀ for matrices of one shape.
///
/// The error bound: for every k with σ_k >= resolution·σ₁ each of |u_kᵀ·out·v_k − σ_k^p|, ‖out·v_k − σ_k^p u_k‖ and
/// ‖outᵀu_k − σ_k^p v_k‖ is at most error_bound()·σ_k^p, rounding included. If singular values are equal it holds for
/// every choice of their vectors. In 16-bit formats it is relative to the map of the stored matrix, and holds for the
/// diagonal and ‖out·v_k‖ only. Directions below the resolution have no bound; they are finite.
///
/// p = 0 is the polar factor (Muon), p = 1 is M, 1/8 is HTMuon (Pang et al., arXiv 2603.10067).
/// The result for a matrix with a NaN or an infinity is NaN in all elements; other matrices of the batch are not
/// affected. The result for a zero matrix is zero. Matrices may have any scale, also subnormal numbers.
template <Scalar T, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace, class Backend = linalg::DefaultBackend<Exec>>
class SpectralPower {
 public:
  using memory_space = typename Exec::memory_space;  ///< where matrices are

  /// Checks the options and chooses the method. Throws InvalidArgument for a power outside (-0.5, 1], a resolution
  /// outside (0, 1], a tolerance that is not positive, and if no method, or not that of the options, meets the
  /// tolerance. Plans may share `fits`. Cost: microseconds if `fits` has the fit, otherwise some tenths of a
  /// millisecond with the rational method and tens of milliseconds with iterates.
  explicit SpectralPower(const SpectralPowerOptions& options,
                         std::shared_ptr<spectral::FitCaches> fits = std::make_shared<spectral::FitCaches>())
      : options_(options), fits_(std::move(fits)), choice_(spectral::choose_method<T>(options, capabilities, *fits_)) {}

  /// out ← U Σ^p Vᵀ for every matrix. M, out: (rows, cols) or (batch, rows, cols), any layout.
  /// @pre out shares no element with M. Throws InvalidArgument for other extents, and for `streaming`, which needs V
  /// (see below). Asynchronous on `exec` if the backend is.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out) {
    apply(exec, m, out, workspace_);
  }

  /// Does not compile: Eigen matrices and pointers need a View.
  template <class VM, class VO, class... More>
    requires(!(KokkosView<VM> && KokkosView<VO>))
  void apply(const Exec&, const VM&, const VO&, const More&...) const {
    constexpr bool views = KokkosView<VM> && KokkosView<VO>;  // of a concept itself compilers say more
    static_assert(views,
                  "schatten: M and out must be Kokkos Views; schatten::view(matrix) makes one of an Eigen matrix "
                  "(interop/eigen.hpp), schatten::matrix_view of a pointer (interop/pointers.hpp)");
  }

  /// As above, with scratch memory from `workspace`, which several plans may share.
  template <KokkosView VM, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VO& out, Workspace<memory_space>& workspace) const {
    constexpr bool scalars = std::is_same_v<scalar_of<VM>, T> && std::is_same_v<scalar_of<VO>, T>;
    constexpr bool writable = !std::is_const_v<typename VO::value_type>;
    constexpr bool ranks = int(view_rank<VM>) == int(view_rank<VO>);
    static_assert(scalars, "schatten: M and out must have the scalar type of the SpectralPower");
    static_assert(!scalars || writable, "schatten: out is written and must not be const");
    static_assert(!scalars || !writable || ranks, "schatten: M and out must have the same rank");
    if constexpr (scalars && writable && ranks) {
      const BatchView<const T, memory_space> batch_m = as_batch<Exec>(m);
      const BatchView<T, memory_space> batch_out = as_batch<Exec>(out);
      require_shapes(batch_m, batch_out);
      require(choice_.method != SpectralMethod::streaming, "SpectralPower::apply", "method", "streaming",
              "needs the right singular vectors that it keeps: apply(exec, m, v, out, workspace)");
      if (batch_m.size() == 0) return;
      const ProfilingRegion region("schatten::SpectralPower::apply");
      spectral::in_map_region<Backend>(exec, batch_m, [&] { apply_method(exec, batch_m, batch_out, workspace); });
    }
  }

  /// For `streaming`: updates V, which the caller keeps, by one QR iteration and computes `out` with it. V is (cols×r)
  /// or (batch, cols, r), initially spectral::streaming_start, r <= min(rows, cols). @pre no two of M, V and out
  /// overlap. Throws InvalidArgument for another method and for other extents.
  template <KokkosView VM, KokkosView VV, KokkosView VO>
  void apply(const Exec& exec, const VM& m, const VV& v, const VO& out, Workspace<memory_space>& workspace) const {
    constexpr bool scalars = std::is_same_v<scalar_of<VM>, T> && std::is_same_v<typename VV::value_type, T> &&
                             std::is_same_v<typename VO::value_type, T>;
    static_assert(scalars,
                  "schatten: M, V and out must have the scalar type of the SpectralPower; V and out are written");
    if constexpr (scalars) {
      const BatchView<const T, memory_space> batch_m = as_batch<Exec>(m);
      const BatchView<T, memory_space> batch_v = as_batch<Exec>(v), batch_out = as_batch<Exec>(out);
      require_shapes(batch_m, batch_out);
      require_own_elements(batch_v, "SpectralPower::apply", "v");
      require(!overlap(batch_m, batch_v) && !overlap(batch_v, batch_out), "SpectralPower::apply", "v",
              shape_of(batch_v), "must not overlap m or out");
      require(choice_.method == SpectralMethod::streaming, "SpectralPower::apply", "method", to_string(choice_.method),
              "keeps no right singular vectors: apply(exec, m, out)");
      const ProfilingRegion region("schatten::SpectralPower::apply");
      spectral::in_map_region<Backend>(exec, batch_m, [&] {
        spectral::streaming_power<Backend>(exec, options_.power, batch_m, batch_v, batch_out, workspace);
      });
    }
  }

  /// Sets p and chooses the method again. If it throws InvalidArgument the plan does not change.
  void set_power(double power) {
    SpectralPowerOptions options = options_;
    options.power = power;
    choice_ = spectral::choose_method<T>(options, capabilities, *fits_);
    options_ = options;
  }

  /// Returns the bound of the three errors relative to σ_k^p. Infinite for newton_schulz, streaming and rank_power,
  /// which have no bound.
  [[nodiscard]] double error_bound() const noexcept { return choice_.error_bound; }
  /// Returns the method; never `automatic`.
  [[nodiscard]] SpectralMethod method() const noexcept { return choice_.method; }
  /// Returns the format of the method; never `automatic`.
  [[nodiscard]] Format format() const noexcept { return choice_.format; }
  /// Returns the number of steps of `iterates`; 0 for other methods.
  [[nodiscard]] std::size_t steps() const noexcept { return choice_.iterates.fit.steps.size(); }
  /// Returns the number of poles of `rational`; 0 for other methods.
  [[nodiscard]] std::size_t poles() const noexcept { return choice_.poles(); }
  /// Returns whether `rational` composes two rational functions (linalg::ComposedRational).
  [[nodiscard]] bool composed() const noexcept { return !choice_.composed.poles.empty(); }
  /// Returns the number of poles in double if the format is `mixed`.
  [[nodiscard]] std::size_t fine_poles() const noexcept { return choice_.fine_poles; }
  /// Returns the flops of the products for one matrix if the method has matrix products only (quintic, iterates).
  /// Symmetric products count what is computed of them. 0 for other methods.
  [[nodiscard]] double product_flops() const {
    const spectral::Shape shape = spectral::Shape::of(options_.rows, options_.cols);
    const auto m = double(shape.long_side), n = double(shape.short_side);
    const double symmetric = capabilities.symmetric(shape.short_side);
    if (method() == SpectralMethod::quintic) return spectral::quintic_flops(quintics().size(), m, n, symmetric);
    if (method() != SpectralMethod::iterates) return 0;
    return spectral::iterate_flops(steps(), choice_.iterates.form, m, n, symmetric);
  }
  /// Returns the options of the plan.
  [[nodiscard]] const SpectralPowerOptions& options() const noexcept { return options_; }

 private:
  void require_shapes(const BatchView<const T, memory_space>& m, const BatchView<T, memory_space>& out) const {
    require_shape(m, m.extent(0), options_.rows, options_.cols, "SpectralPower::apply", "m");
    require_shape(out, m.extent(0), options_.rows, options_.cols, "SpectralPower::apply", "out");
    require_own_elements(out, "SpectralPower::apply", "out");
    require(!overlap(m, out), "SpectralPower::apply", "out", shape_of(out), "must not overlap m");
  }

  [[nodiscard]] std::span<const spectral::Quintic> quintics() const {
    return spectral::quintics_of(options_.schedule, options_.quintic_steps);
  }

  void apply_method(const Exec& exec, const BatchView<const T, memory_space>& batch_m,
                    const BatchView<T, memory_space>& batch_out, Workspace<memory_space>& workspace) const {
    spectral::for_each_method([&]<class M>(const M&) {
      if constexpr (requires { M::template apply<Backend>(exec, options_, choice_, batch_m, batch_out, workspace); }) {
        if (choice_.method == M::method) {
          M::template apply<Backend>(exec, options_, choice_, batch_m, batch_out, workspace);
        }
      }
    });
  }

  static constexpr spectral::Capabilities capabilities{
      is_host_execution_space<Exec>, std::is_same_v<T, float>&& linalg::multiplies_reduced_floats<Backend>,
      loops_as_on_device<Exec>};

  SpectralPowerOptions options_;
  std::shared_ptr<spectral::FitCaches> fits_;
  spectral::MethodChoice choice_;
  Workspace<memory_space> workspace_;
};

}  // namespace schatten
