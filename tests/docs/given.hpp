// SPDX-License-Identifier: BSD-3-Clause
// What the fences of the pages use without declaring it, and the program that runs them (fences.awk writes the rest).
#pragma once

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/interop/eigen.hpp>
#include <schatten/schatten.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using Matrix = Kokkos::View<float**, Kokkos::LayoutRight>;

/// A matrix of 24×16 with singular values that differ.
inline Matrix matrix(const std::string& label) {
  Matrix a(label, 24, 16);
  for (int i = 0; i < 24; ++i) {
    for (int j = 0; j < 16; ++j) a(i, j) = float((7 * i * i + 3 * i * j + 5 * j) % 23) / 23 - 0.5f + (i == j ? 2 : 0);
  }
  return a;
}

/// Members are what fences name. A fence that declares a name of its own hides the member.
struct Given {
  Kokkos::DefaultExecutionSpace exec;
  Matrix W = matrix("W"), G = matrix("G"), E = matrix("E"), dE = matrix("dE"), M = matrix("M"), m = matrix("m");
  Matrix H = matrix("H"), Z = matrix("Z"), out{"out", 24, 16}, D{"D", 24, 16};
  std::map<std::string, Matrix> weights, gradients;
  std::vector<std::pair<std::string, Matrix>> hidden_weights{{"layers.0.mlp.up", W}};

  schatten::Optimizer<float> opt, saved;
  schatten::GroupId hidden, other;
  int steps = 2, step = 2;

  std::size_t rows = 3, cols = 4, batch = 2, n = 5;
  float numbers[24] = {}, *pointer = numbers, *x = numbers;
  std::uint16_t bits_of[12] = {}, *bits = bits_of;
  std::string path = "written_by_test_docs.safetensors";

  Given() {
    fill(saved, matrix("W"), matrix("E"));
    fill(opt, W, E);
    for (const char* const name : {"wte.weight", "h.0.attn.c_attn.weight", "h.0.ln_1.weight"}) {
      weights.emplace(name, matrix("weight"));
      gradients.emplace(name, matrix("gradient"));
    }
  }

  void fill(schatten::Optimizer<float>& optimizer, const Matrix& w, const Matrix& e) {
    hidden = optimizer.add_group(schatten::HTMuon{.lr = 0.03});
    other = optimizer.add_group(schatten::AdamW{.lr = 1e-3});
    optimizer.add(hidden, "layers.0.mlp.up", w, G);
    optimizer.add(other, "embedding", e, dE);
  }

  void compute_gradients() {}
  double schedule(int t) const { return 1.0 / (1 + t); }
  template <class View>
  void exchange(const View&) {}
};

struct Fence {
  const char* name;
  void (*run)();
  const char* expected;  ///< what it prints; null: anything
};
extern const std::vector<Fence> fences;

template <class F>
void run() {
  F().run();
}

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  int failures = 0;
  for (const Fence& fence : fences) {
    if (fence.run == nullptr) continue;
    std::ostringstream printed;
    std::streambuf* const console = std::cout.rdbuf(printed.rdbuf());
    std::string error;
    try {
      fence.run();
    } catch (const std::exception& thrown) {
      error = thrown.what();
    }
    std::cout.rdbuf(console);
    if (error.empty() && fence.expected != nullptr && printed.str() != fence.expected) {
      error = "prints\n" + printed.str() + "instead of\n" + fence.expected;
    }
    if (!error.empty()) std::printf("FAILED: the code at %s: %s\n", fence.name, error.c_str());
    failures += error.empty() ? 0 : 1;
  }
  std::printf("%d of %d fences ran as their pages say\n", int(fences.size()) - failures, int(fences.size()));
  return failures;
}
