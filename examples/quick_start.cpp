// SPDX-License-Identifier: BSD-3-Clause
// HTMuon on a least-squares problem: W x is to equal T x for independent inputs x_j of variance 1/(j + 1).
#include <schatten/schatten.hpp>

#include <Kokkos_Core.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  Kokkos::ScopeGuard kokkos(argc, argv);
  Kokkos::DefaultExecutionSpace exec;
  const int rows = 128, cols = 64, steps = 100;
  Kokkos::View<float**, Kokkos::LayoutRight> W("W", rows, cols), G("dW", rows, cols);

  const double lr = 0.2;
  schatten::Optimizer<float> optimizer;
  const auto group = optimizer.add_group(schatten::HTMuonOptions{.lr = lr, .power = 0.125, .weight_decay = 0.0});
  optimizer.add(group, "W", W, G);

  double first_loss = 0, loss = 0;
  for (int step = 0; step <= steps; ++step) {
    // L = sum of (W - T)_ij^2 / (j + 1) / 2; G = dL/dW
    using Elements = Kokkos::MDRangePolicy<Kokkos::Rank<2>>;
    const auto gradient = KOKKOS_LAMBDA(int i, int j, double& sum) {
      const float target = float((i * i + 3 * i * j + j) % 101) / 50 - 1;
      const float error = W(i, j) - target;
      G(i, j) = error / float(j + 1);
      sum += 0.5 * double(error * G(i, j));
    };
    Kokkos::parallel_reduce("loss", Elements(exec, {0, 0}, {rows, cols}), gradient, loss);
    if (step == 0) first_loss = loss;
    if (step % 20 == 0) std::printf("step %3d  loss %9.4f\n", step, loss);

    optimizer.set_lr(group, lr * (1.0 - double(step) / (steps + 1)));
    optimizer.step(exec);
  }
  return loss < 0.01 * first_loss ? 0 : 1;
}
