// SPDX-License-Identifier: BSD-3-Clause
// Whether work is run or recorded: a CUDA graph records the work on a stream that it captures.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/error.hpp>

#include <string_view>

namespace schatten {

/// Returns whether a CUDA graph records what is launched on `exec`. False on execution spaces other than Kokkos::Cuda.
template <ExecutionSpace Exec>
bool is_captured([[maybe_unused]] const Exec& exec) {
#if defined(KOKKOS_ENABLE_CUDA)
  if constexpr (requires { exec.cuda_stream(); }) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    if (cudaStreamIsCapturing(exec.cuda_stream(), &status) == cudaSuccess) return status != cudaStreamCaptureStatusNone;
    (void)cudaGetLastError();  // the legacy stream, which is never captured, beside another one that is
  }
#endif
  return false;
}

/// Throws InvalidArgument, in the name of `function`, if a CUDA graph records what is launched on `exec`: for work that
/// allocates, or that each launch of the graph would repeat with the numbers of the capture.
template <ExecutionSpace Exec>
void require_not_captured(const Exec& exec, std::string_view function) {
  if (!is_captured(exec)) return;
  throw InvalidArgument(function, "exec", "a stream in capture",
                        "must not be captured before numbers and parameters that have changed are up to date: call "
                        "step or update_numbers first");
}

}  // namespace schatten
