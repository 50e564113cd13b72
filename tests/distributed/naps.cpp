// SPDX-License-Identifier: BSD-3-Clause
// Waits of MPI calls that give their core away, for tests with more ranks than cores under MPICH, which waits without.
// The calls of MpiCommunicator go through MPI's profiling interface to nonblocking ones. Open MPI has a setting
// instead.

#include <mpi.h>

#ifdef MPICH_VERSION

#include <ctime>

namespace {

/// Until all requests are complete: tests, and sleeps between tests.
int wait(int count, MPI_Request* requests) {
  for (int done = 0, tests = 0;; ++tests) {
    const int code = PMPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS || done != 0) return code;
    if (tests % 16 != 15) continue;
    const timespec nap{0, 1000};
    nanosleep(&nap, nullptr);
  }
}

/// The call that `start` begins, to its end.
template <class F>
int complete(const F& start) {
  MPI_Request request = MPI_REQUEST_NULL;
  const int code = start(&request);
  return code == MPI_SUCCESS ? wait(1, &request) : code;
}

}  // namespace

extern "C" {

int MPI_Waitall(int count, MPI_Request requests[], MPI_Status[]) { return wait(count, requests); }

int MPI_Allreduce(const void* from, void* to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm) {
  return complete([&](MPI_Request* request) { return PMPI_Iallreduce(from, to, count, type, op, comm, request); });
}

int MPI_Allgather(const void* from, int count, MPI_Datatype type, void* to, int counts, MPI_Datatype types,
                  MPI_Comm comm) {
  return complete(
      [&](MPI_Request* request) { return PMPI_Iallgather(from, count, type, to, counts, types, comm, request); });
}

int MPI_Allgatherv(const void* from, int count, MPI_Datatype type, void* to, const int counts[], const int offsets[],
                   MPI_Datatype types, MPI_Comm comm) {
  return complete([&](MPI_Request* request) {
    return PMPI_Iallgatherv(from, count, type, to, counts, offsets, types, comm, request);
  });
}

int MPI_Bcast(void* x, int count, MPI_Datatype type, int root, MPI_Comm comm) {
  return complete([&](MPI_Request* request) { return PMPI_Ibcast(x, count, type, root, comm, request); });
}

int MPI_Barrier(MPI_Comm comm) {
  return complete([&](MPI_Request* request) { return PMPI_Ibarrier(comm, request); });
}

}  // extern "C"

#endif
