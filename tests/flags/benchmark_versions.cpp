// SPDX-License-Identifier: BSD-3-Clause
// A run of a benchmark, as the versions of Google Benchmark declare it.
#include "run_failed.hpp"

namespace {

enum Skipped { not_skipped = 0, skipped_with_message, skipped_with_error };

struct RunOf17 {
  bool error_occurred = false;
};
struct RunOf18 {
  Skipped skipped = not_skipped;
};

static_assert(!bench::run_failed(RunOf17{}) && bench::run_failed(RunOf17{true}));
static_assert(!bench::run_failed(RunOf18{}) && bench::run_failed(RunOf18{skipped_with_error}));

}  // namespace
