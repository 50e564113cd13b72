// SPDX-License-Identifier: BSD-3-Clause
// The communicator over NCCL, between devices. Needs <nccl.h> 2.7 or newer and CUDA's runtime; CMake's
// SCHATTEN_ENABLE_NCCL links them.
#pragma once

#include <schatten/distributed/communicator.hpp>

#include <cstddef>
#include <cuda_runtime_api.h>
#include <memory>
#include <nccl.h>
#include <span>
#include <string_view>
#include <type_traits>

namespace schatten::distributed {

namespace detail {

/// Throw CommunicationError unless the call has succeeded.
inline void check_nccl(ncclResult_t result, std::string_view call) {
  if (result != ncclSuccess) throw CommunicationError(call, ncclGetErrorString(result));
}
inline void check_cuda(cudaError_t error, std::string_view call) {
  if (error != cudaSuccess) throw CommunicationError(call, cudaGetErrorString(error));
}

}  // namespace detail

/// An execution space with a CUDA stream: Kokkos::Cuda.
template <class Exec>
concept StreamSpace = ExecutionSpace<Exec> && requires(const Exec& exec) {
  { exec.cuda_stream() } -> std::convertible_to<cudaStream_t>;
};

/// A transfer on the communicator's own stream.
class NcclRequest {
 public:
  NcclRequest() = default;
  /// A transfer that ends with the event.
  explicit NcclRequest(cudaEvent_t event) : event_(event) {}

  /// Returns true: wait only queues.
  [[nodiscard]] static bool done() { return true; }
  /// Kernels that are queued on `exec` afterwards run after the transfer. Throws CommunicationError.
  template <StreamSpace Exec>
  void wait(const Exec& exec) const {
    wait_on(exec.cuda_stream());
  }
  /// The same for a stream.
  void wait_on(cudaStream_t stream) const {
    if (event_ == nullptr) return;
    detail::check_cuda(cudaStreamWaitEvent(stream, event_.get(), 0), "cudaStreamWaitEvent");
  }

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const { (void)cudaEventDestroy(event); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy> event_;
};

/// The ranks of an NCCL communicator. The caller keeps its ownership. Each rank has one device; memory is device
/// memory. Calls are queued on the execution space's stream and return at once. exchange uses its own stream and waits
/// for it.
class NcclCommunicator {
 public:
  /// Throws CommunicationError. The device of `comm` must be the current one, here and in every call.
  explicit NcclCommunicator(ncclComm_t comm) : comm_(comm) {
    detail::check_nccl(ncclCommUserRank(comm, &rank_), "ncclCommUserRank");
    detail::check_nccl(ncclCommCount(comm, &size_), "ncclCommCount");
    cudaStream_t stream = nullptr;
    detail::check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    stream_.reset(stream);
  }

  /// This rank's number, from 0.
  [[nodiscard]] int rank() const { return rank_; }
  /// The number of ranks.
  [[nodiscard]] int size() const { return size_; }

  /// x ← the sum of the ranks' x, in the order of `exec`.
  template <StreamSpace Exec, Scalar T>
  void all_reduce(const Exec& exec, T* x, std::size_t n) const {
    const ncclDataType_t type = std::is_same_v<T, float> ? ncclFloat32 : ncclFloat64;
    detail::check_nccl(ncclAllReduce(x, x, n, type, ncclSum, comm_, exec.cuda_stream()), "ncclAllReduce");
  }
  /// Puts rank k's bytes[k] bytes into `all` on all ranks, in the order of ranks.
  template <StreamSpace Exec>
  void all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    gather(mine, all, bytes, exec.cuda_stream());
  }
  /// Begins an all_gather on a stream of its own, after the kernels that are queued on `exec`.
  template <StreamSpace Exec>
  NcclRequest start_all_gather(const Exec& exec, const void* mine, void* all,
                               std::span<const std::size_t> bytes) const {
    const NcclRequest queued = record(exec.cuda_stream());
    queued.wait_on(stream_.get());
    gather(mine, all, bytes, stream_.get());
    return record(stream_.get());
  }
  /// Sends to_bytes[k] bytes to rank k, and puts from_bytes[k] bytes from rank k into `from`, in the order of ranks.
  template <StreamSpace Exec>
  void all_to_all(const Exec& exec, const void* to, std::span<const std::size_t> to_bytes, void* from,
                  std::span<const std::size_t> from_bytes) const {
    Group group;
    const char* out = static_cast<const char*>(to);
    char* in = static_cast<char*>(from);
    for (int k = 0; k < size_; ++k) {
      const std::size_t send = to_bytes[std::size_t(k)], receive = from_bytes[std::size_t(k)];
      if (send > 0) detail::check_nccl(ncclSend(out, send, ncclInt8, k, comm_, exec.cuda_stream()), "ncclSend");
      if (receive > 0) detail::check_nccl(ncclRecv(in, receive, ncclInt8, k, comm_, exec.cuda_stream()), "ncclRecv");
      out += send;
      in += receive;
    }
    group.end();
  }
  /// Copies the bytes of rank `root` to all ranks.
  template <StreamSpace Exec>
  void broadcast(const Exec& exec, void* x, std::size_t bytes, int root) const {
    detail::check_nccl(ncclBroadcast(x, x, bytes, ncclInt8, root, comm_, exec.cuda_stream()), "ncclBroadcast");
  }
  /// Puts the `bytes` bytes of every rank into `all`, on host memory; complete on return.
  void exchange(const void* mine, std::size_t bytes, void* all) const {
    cudaStream_t const stream = stream_.get();
    void* memory = nullptr;
    detail::check_cuda(cudaMalloc(&memory, bytes * std::size_t(size_ + 1)), "cudaMalloc");
    const std::unique_ptr<void, Free> device(memory);
    char* const gathered = static_cast<char*>(memory) + bytes;
    detail::check_cuda(cudaMemcpyAsync(memory, mine, bytes, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
    detail::check_nccl(ncclAllGather(memory, gathered, bytes, ncclInt8, comm_, stream), "ncclAllGather");
    detail::check_cuda(cudaMemcpyAsync(all, gathered, bytes * std::size_t(size_), cudaMemcpyDeviceToHost, stream),
                       "cudaMemcpyAsync");
    detail::check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  }

 private:
  struct Free {
    void operator()(void* memory) const { (void)cudaFree(memory); }
  };
  struct Destroy {
    void operator()(cudaStream_t stream) const { (void)cudaStreamDestroy(stream); }
  };
  /// Calls that NCCL starts together. If one throws, the group is ended by the destructor.
  class Group {
   public:
    Group() { detail::check_nccl(ncclGroupStart(), "ncclGroupStart"); }
    ~Group() {
      if (open_) (void)ncclGroupEnd();
    }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;
    void end() {
      open_ = false;
      detail::check_nccl(ncclGroupEnd(), "ncclGroupEnd");
    }

   private:
    bool open_ = true;
  };

  void gather(const void* mine, void* all, std::span<const std::size_t> bytes, cudaStream_t stream) const {
    Group group;
    char* to = static_cast<char*>(all);
    for (int k = 0; k < size_; to += bytes[std::size_t(k++)]) {
      detail::check_nccl(ncclBroadcast(k == rank_ ? mine : to, to, bytes[std::size_t(k)], ncclInt8, k, comm_, stream),
                         "ncclBroadcast");
    }
    group.end();
  }
  /// A request that ends after the work that is queued on the stream.
  static NcclRequest record(cudaStream_t stream) {
    cudaEvent_t event = nullptr;
    detail::check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    NcclRequest request(event);
    detail::check_cuda(cudaEventRecord(event, stream), "cudaEventRecord");
    return request;
  }

  ncclComm_t comm_;
  int rank_ = 0, size_ = 1;
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
};

}  // namespace schatten::distributed
