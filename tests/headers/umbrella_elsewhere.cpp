// SPDX-License-Identifier: BSD-3-Clause
#include "umbrella.hpp"

int version_seen_elsewhere() { return schatten::version_major; }
