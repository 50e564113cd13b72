// SPDX-License-Identifier: BSD-3-Clause
// The one name of Google Benchmark's that differs between its versions.
#pragma once

namespace bench {

/// Whether the case of a run has called SkipWithError. `Run` is benchmark::BenchmarkReporter::Run. Until version 1.7 it
/// has the member error_occurred, from 1.8 on the member skipped, whose first value means no.
template <class Run>
constexpr bool run_failed(const Run& run) {
  if constexpr (requires { run.error_occurred; }) {
    return run.error_occurred;
  } else {
    return run.skipped != decltype(run.skipped){};
  }
}

}  // namespace bench
