// SPDX-License-Identifier: BSD-3-Clause
// The learning rate and the decay of a step, for kernels. On the host they are numbers in the kernels' bodies. On a
// device they are in memory that kernels read, so that a CUDA graph of a step uses the present ones.
#pragma once

#include <schatten/core/capture.hpp>
#include <schatten/core/parallel.hpp>
#include <schatten/core/views.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace schatten::optim {

/// What a bucket's step multiplies the directions and the weights by.
struct Rates {
  double lr = 0;       ///< including the lr factor
  double decay = 0;    ///< share of W: lr·weight_decay, except with DecayMode::fixed; 0 with DecayMode::coupled
  double coupled = 0;  ///< factor of W in the gradient that the rule reads; 0 except with DecayMode::coupled
  friend bool operator==(const Rates&, const Rates&) = default;
};

/// The rates of a step, in kernels: those in memory if there are some, otherwise the host's.
struct StepRates {
  Rates host{};                   ///< when the step was called
  const Rates* memory = nullptr;  ///< of a device
  [[nodiscard]] KOKKOS_FUNCTION double lr() const { return memory != nullptr ? memory->lr : host.lr; }
  [[nodiscard]] KOKKOS_FUNCTION double decay() const { return memory != nullptr ? memory->decay : host.decay; }
  [[nodiscard]] KOKKOS_FUNCTION double coupled() const { return memory != nullptr ? memory->coupled : host.coupled; }
};

/// to[k] ← rates[k]. The numbers are a part of the kernel: a copy from memory of the host might wait for the device.
struct StoreRates {
  static constexpr std::size_t most = 32;
  Rates rates[most];
  Rates* to;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { to[k] = rates[k]; }
};

/// The rates of all buckets of an Optimizer in memory of a device. On hosts there is no such memory.
template <ExecutionSpace Exec>
class RateTable {
 public:
  /// Whether there is memory.
  static constexpr bool in_memory = loops_as_on_device<Exec>;

  /// Allocates memory for `count` buckets; the contents are lost if it grows.
  void resize(std::size_t count) {
    if (!in_memory || count <= table_.extent(0)) return;
    table_ = Table(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::rates"), count);
    written_.clear();
  }
  /// The memory of bucket k; null on hosts. @pre k < count
  [[nodiscard]] const Rates* of(std::size_t k) const { return in_memory ? table_.data() + k : nullptr; }

  /// Writes the rates of the first buckets, in order with other work on `exec`, if they are not those that were written
  /// last. Throws InvalidArgument, in the name of `function`, if a CUDA graph would record it. Cost: a launch for
  /// StoreRates::most buckets.
  void write(const Exec& exec, const std::vector<Rates>& rates, std::string_view function) {
    if (rates == written_) return;
    require_not_captured(exec, function);
    for (std::size_t first = 0; first < rates.size(); first += StoreRates::most) {
      StoreRates body{{}, table_.data() + first};
      const std::size_t count = (std::min)(StoreRates::most, rates.size() - first);
      std::copy_n(rates.begin() + std::ptrdiff_t(first), count, body.rates);
      for_each_matrix(exec, "schatten::rates", count, body);
    }
    written_ = rates;
  }

 private:
  using Table = Kokkos::View<Rates*, Kokkos::LayoutRight, typename Exec::device_type>;
  Table table_{};
  std::vector<Rates> written_;
};

}  // namespace schatten::optim
