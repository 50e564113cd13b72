// Schedules of quintics as data: bases for σ^p at six resolutions, and published ones for p = 0.
#pragma once

#include <schatten/spectral/quintic.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace schatten::spectral {

/// Powers for which a schedule's errors are stated; powers between them do as well.
inline constexpr std::array<double, 5> schedule_powers{-0.25, 0, 0.125, 0.25, 0.5};

/// Quintics q_0..q_{K−1} whose iterates x_{k+1} = q_k(x_k), x_0 = σ, are a basis for σ^p on [resolution/1.05, 1]
/// (iterate_margin), |x_k| <= 1 there.
struct Schedule {
  double resolution;  ///< what it is tuned for; coarser ones come out better
  std::span<const Quintic> steps;
  std::array<double, 5> errors;  ///< largest relative error of σ^p after the fit, for schedule_powers
};

/// Quintics that approach 1 by themselves: for p = 0, without weights (quintic_iteration).
struct PolarSchedule {
  double resolution;  ///< [resolution, 1] is mapped near 1
  std::span<const Quintic> steps;
  double safety;  ///< σ is divided by it before every quintic but the last
  double error;   ///< largest |x_K − 1| on [resolution, 1], safety not applied
};

namespace detail {

// Found by bench/derive_schedule.cpp: variable projection over all powers of schedule_powers at once (-1/4 with three
// times the error), restarts, ridge against large weights, then close to the minimax.
inline constexpr std::array<Quintic, 3> quintics_3e_2{{{3.70802629, -8.54994785, 5.80019997},
                                                       {3.64628166, -8.16496780, 5.51848506},
                                                       {2.89253751, -4.04620628, 1.63385392}}};
inline constexpr std::array<Quintic, 4> quintics_1e_2{{{3.52642375, -7.41092970, 4.79283323},
                                                       {3.56314910, -7.54977656, 4.56546650},
                                                       {3.50229425, -7.28627975, 4.75856349},
                                                       {2.85627443, -3.89670473, 1.53664919}}};
inline constexpr std::array<Quintic, 5> quintics_3e_3{{{3.50283326, -7.28524980, 4.74095659},
                                                       {3.49550548, -7.24941408, 4.73883657},
                                                       {3.30027677, -6.16402361, 3.82290091},
                                                       {3.75092439, -8.83531647, 6.05985069},
                                                       {3.26461906, -5.73441869, 2.63589565}}};
inline constexpr std::array<Quintic, 6> quintics_1e_3{{{3.54160451, -7.51707871, 4.94602200},
                                                       {3.64450230, -8.15830039, 5.51379809},
                                                       {3.40557801, -6.73595635, 4.30474733},
                                                       {3.12431243, -5.29363922, 3.14732571},
                                                       {3.58203983, -7.70762919, 4.87925744},
                                                       {3.23055458, -5.55855347, 2.50875464}}};
inline constexpr std::array<Quintic, 7> quintics_3e_4{{{3.70642673, -8.46655837, 5.38803391},
                                                       {3.64378370, -8.07972359, 5.13608699},
                                                       {3.71336340, -8.59235812, 5.87125921},
                                                       {3.28243098, -6.08091078, 3.78865575},
                                                       {3.05441432, -4.93330636, 2.76448557},
                                                       {3.64392601, -8.18921553, 5.54528952},
                                                       {2.93171437, -4.18954475, 1.66694768}}};
inline constexpr std::array<Quintic, 8> quintics_1e_4{{{3.42500685, -6.83412002, 4.34690385},
                                                       {3.63086967, -8.01448662, 5.15343134},
                                                       {3.66393631, -8.34149673, 5.67756042},
                                                       {3.54407488, -7.53516278, 4.97484557},
                                                       {3.59692272, -7.85779267, 5.25754095},
                                                       {2.91833783, -4.38486799, 2.46554009},
                                                       {3.23116130, -5.67970735, 3.00701363},
                                                       {2.92498380, -4.16243597, 1.65369693}}};

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
    {{0.03, detail::quintics_3e_2, {3.113e-02, 1.047e-02, 8.854e-03, 8.828e-03, 9.242e-03}},
     {0.01, detail::quintics_1e_2, {2.168e-02, 7.453e-03, 6.419e-03, 6.998e-03, 6.681e-03}},
     {0.003, detail::quintics_3e_3, {2.001e-02, 6.261e-03, 5.739e-03, 6.369e-03, 6.264e-03}},
     {0.001, detail::quintics_1e_3, {1.358e-02, 4.144e-03, 3.911e-03, 4.362e-03, 4.127e-03}},
     {0.0003, detail::quintics_3e_4, {1.092e-02, 2.315e-03, 2.522e-03, 3.350e-03, 3.506e-03}},
     {0.0001, detail::quintics_1e_4, {8.847e-03, 2.414e-03, 2.128e-03, 2.641e-03, 2.704e-03}}}};

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

}  // namespace schatten::spectral
