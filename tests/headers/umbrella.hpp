// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Two translation units include everything: a function that is not inline would be defined twice.
#include <schatten/version.hpp>
#if __has_include(<schatten/schatten.hpp>)
#include <schatten/schatten.hpp>
#endif

int version_seen_elsewhere();
