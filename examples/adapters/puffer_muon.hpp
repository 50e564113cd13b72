// SPDX-License-Identifier: BSD-3-Clause
// The two functions by which PufferLib's trainer steps its parameters: muon_init and muon_step. Include this in place
// of its own Muon, after its Allocator and tensors. It uses Allocator::num_regs, regs[k].shape (extents, then zeros)
// and the tensors' data. Entry k of one flat array of float weights and of one of bfloat16 gradients has the same
// offset in both. The offset is a multiple of 16 bytes in the narrower type.
//
// Matrices (more than one index: the first is the rows) step by HTMuon's struct at p = 0, Muon by the polar factor.
// Vectors step by momentum SGD. One setter more, muon_set_power, makes it HTMuon at p = 1/8. Gradients are clipped by
// their norm together, in place, as there. No Kokkos memory is allocated from the second step on. All of it is in host
// memory.
#pragma once

#include <schatten/interop/host_kokkos.hpp>
#include <schatten/interop/pointers.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/htmuon.hpp>
#include <schatten/optim/rules/sgd.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace puffer_muon {

using Exec = Kokkos::DefaultHostExecutionSpace;
using Optimizer = schatten::Optimizer<float, Exec>;

struct Entry {
  std::size_t rows, cols, offset;  ///< rows 0: a vector of cols
};

}  // namespace puffer_muon

struct Muon {
  float* lr = nullptr;  ///< read by each step; the trainer writes it, as there
  std::unique_ptr<float> lr_memory;
  std::vector<puffer_muon::Entry> entries;
  std::size_t total = 0;  ///< elements of an array
  std::unique_ptr<puffer_muon::Optimizer> optimizer;
  schatten::GroupId matrices, vectors;
  const void *weights = nullptr, *gradients = nullptr;  ///< as registered
};

/// Entries and groups. `scratch`, from which PufferLib's own takes memory, is not used.
template <class Allocator>
void muon_init(Muon* m, Allocator* parameters, double momentum, Allocator* /*scratch*/) {
  schatten::start_kokkos();
  *m = Muon{};
  m->lr_memory = std::make_unique<float>(0.02F);
  m->lr = m->lr_memory.get();
  m->optimizer = std::make_unique<puffer_muon::Optimizer>();
  schatten::HTMuon htmuon{.power = 0.0, .weight_decay = 0.0};
  htmuon.momentum = {.beta = momentum, .nesterov = true, .kind = schatten::MomentumKind::heavy_ball};
  schatten::SGD sgd{};
  sgd.momentum = {.beta = momentum, .nesterov = true};
  m->matrices = m->optimizer->add_group(htmuon);
  m->vectors = m->optimizer->add_group(sgd);
  for (int k = 0; k < parameters->num_regs; ++k) {
    const auto& shape = parameters->regs[k].shape;
    std::size_t size = 1, indices = 0;
    for (const auto extent : shape) {
      if (extent == 0) break;
      size *= static_cast<std::size_t>(extent);
      ++indices;
    }
    const std::size_t rows = indices < 2 ? 0 : static_cast<std::size_t>(shape[0]);
    m->entries.push_back({rows, rows == 0 ? size : size / rows, m->total});
    m->total += (size + 7) / 8 * 8;  // eight of 16 bits are 16 bytes
  }
}

/// UΣ^pVᵀ from the next step on. Throws schatten::InvalidArgument.
inline void muon_set_power(Muon* m, double power) { m->optimizer->set_power(m->matrices, power); }

/// One step: gradients of a norm above max_grad_norm are scaled down to it, in place.
template <class Weights, class Gradients, class Stream = void*>
void muon_step(Muon* m, Weights weights, Gradients gradients, float max_grad_norm, Stream = {}) {
  static_assert(sizeof(*weights.data) == 4 && sizeof(*gradients.data) == 2, "float weights, bfloat16 gradients");
  auto* const g = schatten::as_bfloat16(gradients.data);
  if (m->weights != weights.data || m->gradients != gradients.data) {
    for (std::size_t k = 0; k < m->entries.size(); ++k) {
      const auto& e = m->entries[k];
      const std::string name = std::to_string(k);
      if (m->weights != nullptr) m->optimizer->remove(name);
      if (e.rows == 0) {
        m->optimizer->add(m->vectors, name, schatten::vector_view(weights.data + e.offset, e.cols),
                          schatten::vector_view(g + e.offset, e.cols));
      } else {
        m->optimizer->add(m->matrices, name, schatten::matrix_view(weights.data + e.offset, e.rows, e.cols),
                          schatten::matrix_view(g + e.offset, e.rows, e.cols));
      }
    }
    m->weights = weights.data;
    m->gradients = gradients.data;
  }
  double squares = 0;
  for (std::size_t k = 0; k < m->total; ++k) squares += double(g[k]) * double(g[k]);
  const double norm = std::sqrt(squares);
  if (norm > double(max_grad_norm)) {  // false where it is not a number: the step leaves that matrix out
    for (std::size_t k = 0; k < m->total; ++k) g[k] = schatten::BFloat16(double(g[k]) * double(max_grad_norm) / norm);
  }
  m->optimizer->set_lr(m->matrices, double(*m->lr));
  m->optimizer->set_lr(m->vectors, double(*m->lr));
  const puffer_muon::Exec exec;
  m->optimizer->step(exec);
  exec.fence();
}
