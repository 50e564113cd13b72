// SPDX-License-Identifier: BSD-3-Clause
// Constants of the library under -D_GLIBCXX_DEBUG with -fsanitize=undefined.
#include <schatten/spectral/schedules.hpp>

static_assert(schatten::spectral::polar_express.steps.size() == 8);
