// SPDX-License-Identifier: BSD-3-Clause
// Schedules of quintics as data: bases for σ^p at six resolutions, and published ones for p = 0.
#pragma once

#include <schatten/spectral/method.hpp>
#include <schatten/spectral/quintic.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace schatten::spectral {

/// Powers for which a schedule has its errors; errors of powers between them are similar.
inline constexpr std::array<double, 5> schedule_powers{-0.25, 0, 0.125, 0.25, 0.5};

/// Quintics of a constant array, as std::span has them. (With -D_GLIBCXX_DEBUG and -fsanitize=undefined g++ refuses a
/// constexpr std::span.)
class QuinticList {
 public:
  template <std::size_t count>
  constexpr QuinticList(const std::array<Quintic, count>& all) : first_(all.data()), count_(count) {}
  constexpr operator std::span<const Quintic>() const { return {first_, count_}; }
  [[nodiscard]] constexpr std::size_t size() const { return count_; }
  [[nodiscard]] constexpr const Quintic* begin() const { return first_; }
  [[nodiscard]] constexpr const Quintic* end() const { return first_ + count_; }

 private:
  const Quintic* first_;
  std::size_t count_;
};

/// Quintics q_0..q_{K−1} whose iterates x_{k+1} = q_k(x_k), x_0 = σ, are a basis for σ^p on [resolution/1.05, 1]
/// (scale_margin), |x_k| <= 1 there and below 1.2 up to σ = 1.02.
struct Schedule {
  double resolution;  ///< the resolution for which it was optimized; errors at coarser ones are smaller
  QuinticList steps;
  std::array<double, 5> errors;  ///< largest relative error of σ^p after the fit, for schedule_powers
};

/// Quintics that approach 1 by themselves: for p = 0, without weights (quintic_iteration).
struct PolarSchedule {
  double resolution;  ///< [resolution, 1] is mapped near 1
  QuinticList steps;
  double safety;  ///< σ is divided by it before every quintic but the last
  double error;   ///< largest |x_K − 1| on [resolution, 1], safety not applied
};

namespace detail {

// Found by bench/derive_schedule.cpp: variable projection over all powers of schedule_powers at once (-1/4 with three
// times the error), restarts, a ridge against large weights, bounded up to σ = 1.02, then close to the minimax.
inline constexpr std::array<Quintic, 3> quintics_3e_2{{{3.75827128, -8.85258284, 5.92212371},
                                                       {3.70239572, -8.47332928, 5.54849639},
                                                       {1.53882274, -2.56499111, 2.02616837}}};
inline constexpr std::array<Quintic, 4> quintics_1e_2{{{3.44275804, -7.22619378, 4.67074641},
                                                       {3.64736377, -8.09763932, 5.13022375},
                                                       {3.50384627, -7.29533655, 4.76607539},
                                                       {2.86272293, -3.92223126, 1.55087601}}};
inline constexpr std::array<Quintic, 5> quintics_3e_3{{{3.44806447, -6.99778608, 4.44630574},
                                                       {3.49908486, -7.31413586, 4.81505100},
                                                       {3.32018120, -6.27291913, 3.92515469},
                                                       {3.75560368, -8.86720328, 6.09201313},
                                                       {3.26831436, -5.75423032, 2.65222532}}};
inline constexpr std::array<Quintic, 6> quintics_1e_3{{{3.62717610, -8.01334248, 5.24966834},
                                                       {3.63642843, -8.10320408, 5.46659850},
                                                       {3.39189792, -6.65901840, 4.23641591},
                                                       {3.11830692, -5.26583233, 3.12711722},
                                                       {3.57350964, -7.65642434, 4.83969763},
                                                       {3.18554264, -5.33690592, 2.36963536}}};
inline constexpr std::array<Quintic, 7> quintics_3e_4{{{3.71186662, -8.50212880, 5.41790319},
                                                       {3.67676325, -8.30108255, 5.37267941},
                                                       {3.70874318, -8.56233864, 5.84586263},
                                                       {3.27367511, -6.03467645, 3.74793837},
                                                       {3.05086651, -4.91679584, 2.75075094},
                                                       {3.63916831, -8.17334495, 5.53417664},
                                                       {2.92594140, -4.16554678, 1.65302677}}};
inline constexpr std::array<Quintic, 8> quintics_1e_4{{{3.19451827, -5.47746523, 2.79483541},
                                                       {3.56347021, -7.58030205, 4.71229003},
                                                       {3.69407898, -8.46675086, 5.76162328},
                                                       {3.76238631, -8.93129564, 6.16890933},
                                                       {3.55944848, -7.63023134, 5.06657336},
                                                       {3.21100897, -5.70101333, 3.42798286},
                                                       {3.29987161, -6.12594387, 3.66797191},
                                                       {2.18110052, -2.77954053, 1.59844001}}};

inline constexpr std::array<Quintic, 8> polar_express_quintics{
    {{8.28721201814563, -23.595886519098837, 17.300387312530933},
     {4.107059111542203, -2.9478499167379106, 0.5448431082926601},
     {3.9486908534822946, -2.908902115962949, 0.5518191394370137},
     {3.3184196573706015, -2.488488024314874, 0.51004894012372},
     {2.300652019954817, -1.6689039845747493, 0.4188073119525673},
     {1.891301407787398, -1.2679958271945868, 0.37680408948524835},
     {1.8750014808534479, -1.2500016453999487, 0.3750001645474248},
     {1.875, -1.25, 0.375}}};

inline constexpr std::array<Quintic, 4> cans_quintics{{{8.4209013712, -24.9128909888, 18.4740032140},
                                                       {4.1022015550, -3.0525350045, 0.5742015780},
                                                       {3.6840917498, -2.7562047324, 0.5404450724},
                                                       {2.7329545725, -2.0354830712, 0.4591024438}}};

}  // namespace detail

/// The schedules for any p, coarsest first: K = 3, 4, 5, 6, 7, 8.
/// Source: this library's search (docs/mathematics.md).
inline constexpr std::array<Schedule, 6> iterate_schedules{
    {{0.03, detail::quintics_3e_2, {2.648e-02, 9.172e-03, 8.268e-03, 7.606e-03, 8.398e-03}},
     {0.01, detail::quintics_1e_2, {2.170e-02, 7.430e-03, 6.429e-03, 7.010e-03, 6.774e-03}},
     {0.003, detail::quintics_3e_3, {2.131e-02, 6.452e-03, 6.071e-03, 6.527e-03, 6.445e-03}},
     {0.001, detail::quintics_1e_3, {1.292e-02, 3.951e-03, 3.711e-03, 4.203e-03, 4.027e-03}},
     {0.0003, detail::quintics_3e_4, {1.065e-02, 2.298e-03, 2.505e-03, 3.328e-03, 3.479e-03}},
     {0.0001, detail::quintics_1e_4, {1.007e-02, 3.242e-03, 2.713e-03, 2.648e-03, 2.263e-03}}}};

/// Polar Express: each quintic is the minimax one for the interval that the quintics before it leave, from [1e-3, 1]
/// on; intervals are cut at 0.024 of their upper end. Values as published and found again by Remez' algorithm.
/// Source: Amsel, Persson, Musco and Gower, arXiv 2505.16932 (2025).
inline constexpr PolarSchedule polar_express{1e-3, detail::polar_express_quintics, 1.01, 1e-12};

/// CANS, quintics, four steps: as Polar Express without cuts, from the interval that ends in [0.7, 1.3].
/// Values derived by Remez' algorithm. Source: Grishina, Smirnov and Rakhuba, arXiv 2506.10935 (2025).
inline constexpr PolarSchedule cans{0.0021359526, detail::cans_quintics, 1.0, 0.3};

/// q(x/safety) for every quintic but the last.
inline std::vector<Quintic> with_safety(const PolarSchedule& schedule) {
  std::vector<Quintic> steps(schedule.steps.begin(), schedule.steps.end());
  const double s = schedule.safety;
  for (std::size_t k = 0; k + 1 < steps.size(); ++k) {
    steps[k] = {steps[k].a / s, steps[k].b / std::pow(s, 3), steps[k].c / std::pow(s, 5)};
  }
  return steps;
}

/// Largest number of steps of a schedule whose quintics are equal.
inline constexpr std::size_t most_quintics = 32;
/// Number of steps of the schedule `simple`, as in published codes (Aurora, modded-nanogpt).
inline constexpr std::size_t simple_steps = 12;
/// Steps of Polar Express in its authors' training runs.
inline constexpr std::size_t polar_express_steps = 5;

namespace detail {

/// Copies of one quintic, of which a schedule uses a part.
constexpr std::array<Quintic, most_quintics> copies(const Quintic& quintic) {
  std::array<Quintic, most_quintics> all{};
  for (Quintic& step : all) step = quintic;
  return all;
}
inline constexpr std::array<Quintic, most_quintics> muon_quintics = copies(muon_quintic);
inline constexpr std::array<Quintic, most_quintics> simple_quintics = copies({2, -1.5, 0.5});

/// q(x/s).
constexpr Quintic divided(const Quintic& q, double s) {
  return {q.a / s, q.b / (s * s * s), q.c / (s * s * s * s * s)};
}

/// Polar Express from M/‖M‖_F on: every one of these steps has its safety, and the first divides by 1.01 once more, as
/// the published normalisation M/(1.01‖M‖_F) does.
inline constexpr std::array<Quintic, polar_express_steps> polar_express_from_norm = [] {
  std::array<Quintic, polar_express_steps> steps{};
  for (std::size_t k = 0; k < steps.size(); ++k) steps[k] = divided(polar_express_quintics[k], polar_express.safety);
  steps[0] = divided(steps[0], polar_express.safety);
  return steps;
}();

}  // namespace detail

/// Returns the quintics that a schedule applies to M/‖M‖_F, its own factor of the norm and its safety included; the
/// first `steps` of them if steps is not 0. The published codes add 1e-7 to the norm; these quintics do not include
/// this.
/// @pre schedule is one of the enumerators, steps <= largest_steps(schedule).
constexpr std::span<const Quintic> quintics_of(QuinticSchedule schedule, std::size_t steps = 0) {
  const auto first = [steps](std::span<const Quintic> all, std::size_t own) { return all.first(steps ? steps : own); };
  switch (schedule) {
    case QuinticSchedule::polar_express: return first(detail::polar_express_from_norm, polar_express_steps);
    case QuinticSchedule::cans: return first(detail::cans_quintics, detail::cans_quintics.size());
    case QuinticSchedule::simple: return first(detail::simple_quintics, simple_steps);
    case QuinticSchedule::muon: break;
  }
  return first(detail::muon_quintics, muon_steps);
}

/// Returns the largest number of steps of a schedule: its own, or most_quintics if all quintics are equal.
constexpr std::size_t largest_steps(QuinticSchedule schedule) {
  const bool equal = schedule == QuinticSchedule::muon || schedule == QuinticSchedule::simple;
  return equal ? most_quintics : quintics_of(schedule).size();
}

}  // namespace schatten::spectral
