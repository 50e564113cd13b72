// SPDX-License-Identifier: BSD-3-Clause
// NcclCommunicator against the library's header, by the host's compiler: compiled, not run.

#include <schatten/distributed/nccl.hpp>

namespace {

/// A host execution space that has a stream.
struct Streamed : Kokkos::Serial {
  using execution_space = Streamed;
  [[nodiscard]] cudaStream_t cuda_stream() const { return nullptr; }
};

}  // namespace

static_assert(schatten::distributed::Communicator<schatten::distributed::NcclCommunicator, Streamed>);

void use(const schatten::distributed::NcclCommunicator& comm, double* x, std::span<const std::size_t> bytes);
void use(const schatten::distributed::NcclCommunicator& comm, double* x, std::span<const std::size_t> bytes) {
  const Streamed exec;
  comm.all_reduce(exec, x, 1);
  comm.all_gather(exec, x, x, bytes);
  auto request = comm.start_all_gather(exec, x, x, bytes);
  request.wait(exec);
  comm.all_to_all(exec, x, bytes, x, bytes);
  comm.broadcast(exec, x, 8, 0);
  comm.exchange(x, 8, x);
}
