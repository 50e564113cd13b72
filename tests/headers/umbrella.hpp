// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Two translation units include everything: a function that is not inline would be defined twice.
#include <schatten/schatten.hpp>

int version_seen_elsewhere();
