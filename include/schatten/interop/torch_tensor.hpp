// SPDX-License-Identifier: BSD-3-Clause
// LibTorch's tensors as Views without a copy, and its current stream as the execution space.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/interop/tensor.hpp>

#include <torch/types.h>

#if defined(KOKKOS_ENABLE_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace schatten {

/// Checks a LibTorch tensor and returns it as a TensorRef, for with_view or Optimizer::add. The tensor must exist as
/// long as the result and Views of it.
///
/// A number (rank 0) counts as a vector of length 1. Throws InvalidArgument for an undefined tensor, a tensor on
/// another device than MemorySpace's, a sparse one, a type other than float16, bfloat16, float32 and float64, a rank
/// above 4, a tensor with a pending negation or conjugation, and one whose storage was freed or made smaller.
template <class MemorySpace = Kokkos::HostSpace>
TensorRef tensor_of(const torch::Tensor& t, std::string_view function = "tensor_of",
                    std::string_view argument = "tensor") {
  const auto of = [&](std::string_view member) { return Words(argument, ".", member); };
  require(t.defined(), function, argument, "undefined", "must be defined");
  require(t.layout() == torch::kStrided, function, of("layout"), t.layout(), "must be strided");
  constexpr bool host = is_host_execution_space<typename MemorySpace::execution_space>;
  require(host ? t.device().is_cpu() : t.device().is_cuda(), function, of("device"), t.device().str(),
          {"must be one of ", MemorySpace::name()});
  require(!t.is_neg() && !t.is_conj(), function, argument, "a lazy negative or conjugate", "must be resolved first");
  TensorRef tensor;
  switch (t.scalar_type()) {
    case torch::kFloat32: tensor.type = ElementType::float32; break;
    case torch::kFloat64: tensor.type = ElementType::float64; break;
    case torch::kFloat16: tensor.type = ElementType::float16; break;
    case torch::kBFloat16: tensor.type = ElementType::bfloat16; break;
    default:
      throw InvalidArgument(function, of("dtype"), c10::toString(t.scalar_type()),
                            "must be float16, bfloat16, float32 or float64");
  }
  require(t.dim() <= 4, function, of("dim"), t.dim(), "must be at most 4");
  tensor.data = t.data_ptr();
  tensor.rank = static_cast<std::size_t>(std::max<std::int64_t>(t.dim(), 1));
  for (std::int64_t d = 0; d < t.dim(); ++d) {
    tensor.shape[d] = static_cast<std::size_t>(t.size(d));
    tensor.stride[d] = static_cast<std::size_t>(t.stride(d));
  }
  if (t.dim() == 0) tensor.stride[0] = 1;
  std::size_t end = t.numel() == 0 ? 0 : 1;  // of the elements used
  for (std::size_t d = 0; end > 0 && d < tensor.rank; ++d) end += (tensor.shape[d] - 1) * tensor.stride[d];
  // from_blob of older releases makes a storage that is longer by the offset's number, in bytes.
  const std::size_t bytes = end == 0 ? 0 : end * size_of(tensor.type) + static_cast<std::size_t>(t.storage_offset());
  require(bytes <= t.storage().nbytes(), function, of("storage"), t.storage().nbytes(),
          {"must hold the tensor's elements, ", bytes, " bytes"});
  return tensor;
}

/// Sets `exec` to the execution-space instance that LibTorch uses in this thread: on CUDA its current stream. An
/// instance of another stream is replaced, for which Kokkos allocates memory; an instance of the same stream stays.
template <ExecutionSpace Exec>
void follow_current_stream(Exec& exec) {
#if defined(KOKKOS_ENABLE_CUDA)
  if constexpr (std::is_same_v<Exec, Kokkos::Cuda>) {
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
    if (exec.cuda_stream() != stream) exec = Exec(stream);
  }
#endif
  (void)exec;
}

/// Returns the execution-space instance that LibTorch uses in this thread.
template <ExecutionSpace Exec>
Exec current_execution_space() {
  Exec exec;
  follow_current_stream(exec);
  return exec;
}

}  // namespace schatten
