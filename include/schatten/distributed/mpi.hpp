// SPDX-License-Identifier: BSD-3-Clause
// The communicator over MPI. Needs <mpi.h>; CMake's SCHATTEN_ENABLE_MPI links it.
#pragma once

#include <schatten/distributed/communicator.hpp>

#include <mpi.h>
#if defined(OPEN_MPI) && OPEN_MPI && __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::distributed {

namespace detail {

/// Throws CommunicationError unless the code is MPI_SUCCESS.
inline void check_mpi(int code, std::string_view call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommunicationError(call, std::string(text, static_cast<std::size_t>(length)));
}

}  // namespace detail

/// Transfers that MPI has begun.
class MpiRequest {
 public:
  MpiRequest() = default;
  ~MpiRequest() {  // after an exception
    if (!requests_.empty()) (void)MPI_Waitall(int(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
  }
  MpiRequest(const MpiRequest&) = delete;
  MpiRequest& operator=(const MpiRequest&) = delete;
  /// Takes the transfers of `other`.
  MpiRequest(MpiRequest&& other) noexcept { swap(other); }
  /// Exchanges the transfers of both; those of this object end when `other` is destroyed.
  MpiRequest& operator=(MpiRequest&& other) noexcept {
    swap(other);
    return *this;
  }

  /// Returns whether all have ended. MPI proceeds with them in this call and in its other functions. Throws
  /// CommunicationError.
  [[nodiscard]] bool done() {
    int all = 1;
    detail::check_mpi(MPI_Testall(int(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE), "MPI_Testall");
    return all != 0;
  }
  /// Waits for all. Throws CommunicationError.
  template <ExecutionSpace Exec>
  void wait(const Exec&) {
    detail::check_mpi(MPI_Waitall(int(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
    requests_.clear();
  }

 private:
  friend class MpiCommunicator;
  void swap(MpiRequest& other) noexcept {
    requests_.swap(other.requests_);
    counts_.swap(other.counts_);
    offsets_.swap(other.offsets_);
  }
  std::vector<MPI_Request> requests_{};
  std::vector<int> counts_{}, offsets_{};  ///< MPI reads them until the end
};

/// The ranks of an MPI communicator. It uses a duplicate (MPI_Comm_dup), so that its messages do not mix with the
/// program's. All ranks construct it together, after MPI_Init. It must not be used after MPI_Finalize.
///
/// A call fences `exec` first, if it has one, and is complete on return, except for start_all_gather. Messages above 2
/// GiB are sent in pieces. With a library that is not CUDA-aware the memory must be host memory.
class MpiCommunicator {
 public:
  /// Throws CommunicationError.
  explicit MpiCommunicator(MPI_Comm comm) {
    detail::check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
    detail::check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    detail::check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    detail::check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }
  /// Takes the communicator of an object that has one, such as a KokkosComm::Handle.
  template <class Handle>
    requires requires(Handle& handle) { MPI_Comm(handle.mpi_comm()); }
  explicit MpiCommunicator(Handle& handle) : MpiCommunicator(MPI_Comm(handle.mpi_comm())) {}
  ~MpiCommunicator() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (comm_ != MPI_COMM_NULL && finalized == 0) MPI_Comm_free(&comm_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;
  /// Takes the communicator of `other`, which may then only be destroyed.
  MpiCommunicator(MpiCommunicator&& other) noexcept
      : comm_(std::exchange(other.comm_, MPI_COMM_NULL)), rank_(other.rank_), size_(other.size_) {}
  MpiCommunicator& operator=(MpiCommunicator&&) = delete;

  /// This rank's number, from 0.
  [[nodiscard]] int rank() const { return rank_; }
  /// The number of ranks.
  [[nodiscard]] int size() const { return size_; }
  /// Returns whether the library reports that it reads the memory of CUDA devices.
  [[nodiscard]] static bool cuda_aware() {
#if defined(MPIX_CUDA_AWARE_SUPPORT) && MPIX_CUDA_AWARE_SUPPORT
    return MPIX_Query_cuda_support() == 1;
#else
    return false;
#endif
  }

  /// x ← the sum of the ranks' x, in the order of `exec`.
  template <ExecutionSpace Exec, Scalar T>
  void all_reduce(const Exec& exec, T* x, std::size_t n) const {
    ready(exec);
    const MPI_Datatype type = std::is_same_v<T, float> ? MPI_FLOAT : MPI_DOUBLE;
    constexpr std::size_t piece = most / sizeof(T);
    for (std::size_t done = 0; done < n; done += piece) {
      detail::check_mpi(MPI_Allreduce(MPI_IN_PLACE, x + done, int((std::min)(n - done, piece)), type, MPI_SUM, comm_),
                        "MPI_Allreduce");
    }
  }

  /// Copies rank k's bytes[k] bytes to `all` on all ranks, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    ready(exec);
    std::vector<int> counts, offsets;
    if (!fits(bytes, counts, offsets)) {
      char* to = static_cast<char*>(all);
      for (int k = 0; k < size_; to += bytes[std::size_t(k++)]) {
        if (k == rank_) copy(static_cast<const char*>(mine), to, bytes[std::size_t(k)]);
        broadcast(exec, to, bytes[std::size_t(k)], k);
      }
      return;
    }
    detail::check_mpi(
        MPI_Allgatherv(mine, counts[std::size_t(rank_)], MPI_BYTE, all, counts.data(), offsets.data(), MPI_BYTE, comm_),
        "MPI_Allgatherv");
  }

  /// Begins an all_gather. Fences `exec` first. The transfer proceeds in done() and wait() of the returned Request.
  template <ExecutionSpace Exec>
  MpiRequest start_all_gather(const Exec& exec, const void* mine, void* all, std::span<const std::size_t> bytes) const {
    ready(exec);
    MpiRequest request;
    if (fits(bytes, request.counts_, request.offsets_)) {
      request.requests_.push_back(MPI_REQUEST_NULL);
      detail::check_mpi(
          MPI_Iallgatherv(mine, request.counts_[std::size_t(rank_)], MPI_BYTE, all, request.counts_.data(),
                          request.offsets_.data(), MPI_BYTE, comm_, &request.requests_.back()),
          "MPI_Iallgatherv");
      return request;
    }
    char* to = static_cast<char*>(all);
    for (int k = 0; k < size_; to += bytes[std::size_t(k++)]) {
      if (k == rank_) copy(static_cast<const char*>(mine), to, bytes[std::size_t(k)]);
      each_piece(bytes[std::size_t(k)], [&](std::size_t done, int count) {
        request.requests_.push_back(MPI_REQUEST_NULL);
        detail::check_mpi(MPI_Ibcast(to + done, count, MPI_BYTE, k, comm_, &request.requests_.back()), "MPI_Ibcast");
      });
    }
    return request;
  }

  /// Sends to_bytes[k] bytes to rank k, and puts from_bytes[k] bytes from rank k into `from`, in the order of ranks.
  template <ExecutionSpace Exec>
  void all_to_all(const Exec& exec, const void* to, std::span<const std::size_t> to_bytes, void* from,
                  std::span<const std::size_t> from_bytes) const {
    ready(exec);
    // The pieces of a message depend only on its own size: the sums of bytes, which differ between ranks, may be too
    // large for one of the two.
    std::vector<MPI_Request> requests;
    char* in = static_cast<char*>(from);
    for (int k = 0; k < size_; in += from_bytes[std::size_t(k++)]) {
      each_piece(from_bytes[std::size_t(k)], [&](std::size_t done, int count) {
        requests.emplace_back();
        detail::check_mpi(MPI_Irecv(in + done, count, MPI_BYTE, k, 0, comm_, &requests.back()), "MPI_Irecv");
      });
    }
    const char* out = static_cast<const char*>(to);
    for (int k = 0; k < size_; out += to_bytes[std::size_t(k++)]) {
      each_piece(to_bytes[std::size_t(k)], [&](std::size_t done, int count) {
        requests.emplace_back();
        detail::check_mpi(MPI_Isend(out + done, count, MPI_BYTE, k, 0, comm_, &requests.back()), "MPI_Isend");
      });
    }
    detail::check_mpi(MPI_Waitall(int(requests.size()), requests.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");
  }

  /// Copies the bytes of rank `root` to all ranks.
  template <ExecutionSpace Exec>
  void broadcast(const Exec& exec, void* x, std::size_t bytes, int root) const {
    ready(exec);
    each_piece(bytes, [&](std::size_t done, int count) {
      detail::check_mpi(MPI_Bcast(static_cast<char*>(x) + done, count, MPI_BYTE, root, comm_), "MPI_Bcast");
    });
  }

  /// Puts the `bytes` bytes of every rank into `all`, on host memory; complete on return.
  void exchange(const void* mine, std::size_t bytes, void* all) const {
    require(bytes <= most, "MpiCommunicator::exchange", "bytes", bytes, {"must be at most ", most});
    detail::check_mpi(MPI_Allgather(mine, int(bytes), MPI_BYTE, all, int(bytes), MPI_BYTE, comm_), "MPI_Allgather");
  }

 private:
  static constexpr std::size_t most = std::size_t{1} << 30;

  /// Copies by the MPI library, which can access a device's memory if it is CUDA-aware.
  static void copy(const char* from, char* to, std::size_t bytes) {
    each_piece(bytes, [&](std::size_t done, int count) {
      detail::check_mpi(MPI_Sendrecv(from + done, count, MPI_BYTE, 0, 0, to + done, count, MPI_BYTE, 0, 0,
                                     MPI_COMM_SELF, MPI_STATUS_IGNORE),
                        "MPI_Sendrecv");
    });
  }

  template <class Exec>
  static void ready(const Exec& exec) {
    static_assert(is_host_execution_space<Exec> || bool(MPIX_cuda()),
                  "schatten: this MPI does not read a device's memory; use NcclCommunicator, or a CUDA-aware MPI");
    exec.fence();  // fences: documented
  }
  static constexpr bool MPIX_cuda() {
#if defined(MPIX_CUDA_AWARE_SUPPORT) && MPIX_CUDA_AWARE_SUPPORT
    return true;
#else
    return false;
#endif
  }
  template <class F>
  static void each_piece(std::size_t bytes, const F& f) {
    for (std::size_t done = 0; done < bytes; done += most) f(done, int((std::min)(bytes - done, most)));
  }
  /// Sizes and offsets as MPI's int; returns false if they are too large.
  static bool fits(std::span<const std::size_t> bytes, std::vector<int>& counts, std::vector<int>& offsets) {
    std::size_t sum = 0;
    for (const std::size_t b : bytes) {
      counts.push_back(int(b));
      offsets.push_back(int(sum));
      sum += b;
    }
    return sum <= std::size_t((std::numeric_limits<int>::max)());
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
};

}  // namespace schatten::distributed
