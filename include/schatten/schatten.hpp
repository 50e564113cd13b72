// SPDX-License-Identifier: BSD-3-Clause
// Everything but the adapters of interop/ and the files of checkpoint/, for training codes that include one file.
#pragma once

#include <schatten/diagnostics/hill.hpp>
#include <schatten/diagnostics/learning_rate.hpp>
#include <schatten/diagnostics/power_law.hpp>
#include <schatten/diagnostics/ranks.hpp>
#include <schatten/diagnostics/spectral_density.hpp>
#include <schatten/diagnostics/spectral_monitor.hpp>
#include <schatten/diagnostics/spectral_summary.hpp>
#include <schatten/diagnostics/weight_decay.hpp>
#include <schatten/optim/function_rule.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/routing.hpp>
#include <schatten/optim/rules.hpp>
#include <schatten/optim/schedules.hpp>
#include <schatten/spectral/orlicz_norm.hpp>
#include <schatten/spectral/rank_power.hpp>
#include <schatten/spectral/schatten_norm.hpp>
#include <schatten/spectral/spectral_map.hpp>
#include <schatten/spectral/spectral_power.hpp>
#include <schatten/spectral/steepest_descent.hpp>
#include <schatten/spectral/streaming.hpp>
#include <schatten/version.hpp>

#if defined(SCHATTEN_COMPILED)
#include <schatten/optim/compiled.hpp>
#endif
