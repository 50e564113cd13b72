// SPDX-License-Identifier: BSD-3-Clause
// HTMuon on N ranks: mpirun -n 2 data_parallel. W x is to equal T x for inputs x_j of variance 1/(j + 1). A rank has
// some of the inputs, and so a part of the gradient. It is quick_start.cpp with another type of Optimizer.
#include <schatten/distributed/mpi.hpp>
#include <schatten/distributed/optimizer.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <Kokkos_Core.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

using Exec = Kokkos::DefaultExecutionSpace;
using Comm = schatten::distributed::MpiCommunicator;

int train(const Comm& comm) {
  const Exec exec;
  const int rows = 96, cols = 64, layers = 4, steps = 100;
  const double lr = 0.2;
  schatten::distributed::Optimizer<float, Exec, schatten::linalg::DefaultBackend<Exec>, Comm> optimizer(
      comm, {}, {.gradients = schatten::distributed::Gradients::summed});
  const auto group = optimizer.add_group(schatten::HTMuon{.lr = lr, .power = 0.125, .weight_decay = 0.0});
  using Matrix = Kokkos::View<float**, Kokkos::LayoutRight>;
  std::vector<Matrix> weights, gradients;
  for (int layer = 0; layer < layers; ++layer) {
    weights.emplace_back("W", rows, cols);
    gradients.emplace_back("dW", rows, cols);
    optimizer.add(group, "W" + std::to_string(layer), weights.back(), gradients.back());
  }
  const int rank = comm.rank(), ranks = comm.size();
  double first_loss = 0, loss = 0;
  for (int step = 0; step <= steps; ++step) {
    loss = 0;
    for (int layer = 0; layer < layers; ++layer) {
      const Matrix W = weights[std::size_t(layer)], G = gradients[std::size_t(layer)];
      const auto gradient = KOKKOS_LAMBDA(int i, int j, double& sum) {
        const float target = float((i * i + 3 * i * j + j + layer) % 101) / 50 - 1;
        const float error = W(i, j) - target;
        G(i, j) = j % ranks == rank ? error / float(j + 1) : 0.0F;
        sum += 0.5 * double(error * G(i, j));
      };
      double part = 0;
      Kokkos::parallel_reduce("loss", Kokkos::MDRangePolicy<Kokkos::Rank<2>>(exec, {0, 0}, {rows, cols}), gradient,
                              part);
      loss += part;
    }
    comm.all_reduce(Kokkos::DefaultHostExecutionSpace(), &loss, 1);
    if (step == 0) first_loss = loss;
    if (step % 20 == 0 && rank == 0) std::printf("step %3d  loss %9.4f\n", step, loss);
    optimizer.set_lr(group, lr * (1.0 - double(step) / (steps + 1)));
    optimizer.step(exec);
  }
  return loss < 0.01 * first_loss ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int status = 1;
  {
    const Kokkos::ScopeGuard kokkos(argc, argv);
    status = train(Comm(MPI_COMM_WORLD));
  }
  MPI_Finalize();
  return status;
}
