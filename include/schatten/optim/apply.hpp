// SPDX-License-Identifier: BSD-3-Clause
// W ← W − (lr·weight_decay·W + lr·s·D), and the other modes of decay, in one place.
#pragma once

#include <schatten/core/random_bits.hpp>
#include <schatten/optim/elements.hpp>
#include <schatten/optim/rates.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace schatten::optim {

/// A factor as the product of two numbers. Neither of them, nor factor·d from left to right, over- or underflows unless
/// the whole product does.
struct SplitFactor {
  double first = 1, second = 1;
  [[nodiscard]] KOKKOS_FUNCTION bool is_one() const { return first == 1 && second == 1; }
};

/// fraction·2^exponent as two factors of similar size. @pre fraction is 0 or its size lies in [2^-500, 2^500].
KOKKOS_FUNCTION inline SplitFactor split_factor(double fraction, long exponent) {
  const long half = exponent / 2;
  return {std::ldexp(fraction, int(half)), std::ldexp(1.0, int(exponent - half))};
}

/// factor(k) ← 1.
template <class Space>
struct StoreOne {
  NumberBatchView<SplitFactor, Space> factor;
  KOKKOS_FUNCTION void operator()(std::size_t k) const { factor(k) = SplitFactor{}; }
};

/// (W, change) ↦ W − updated W, where change = lr·s·D and `decay` is its share of W.
template <Scalar T, DecayMode mode>
struct Decay {
  T share;
  KOKKOS_FORCEINLINE_FUNCTION T operator()(T weight, T change) const {
    if constexpr (mode == DecayMode::after_step) return share * (weight - change) + change;
    if constexpr (mode == DecayMode::cautious) {
      const bool agrees = change == T(0) || (weight < T(0)) == (change < T(0));
      return (agrees ? share : T(0)) * weight + change;
    }
    return share * weight + change;
  }
};

/// Calls f with the Decay of the mode.
template <Scalar T, class F>
KOKKOS_FUNCTION auto with_decay(DecayMode mode, T share, const F& f) {
  if (mode == DecayMode::after_step) return f(Decay<T, DecayMode::after_step>{share});
  if (mode == DecayMode::cautious) return f(Decay<T, DecayMode::cautious>{share});
  return f(Decay<T, DecayMode::decoupled>{share});
}

/// The data of the update of a window's weights.
template <Scalar T, class Space>
struct WeightUpdate {
  Records<Space> records;
  SlotMemory master;                                 ///< copies of the weights in T; empty: no copies
  NumberBatchView<const SplitFactor, Space> factor;  ///< of each matrix; empty: 1
  NumberBatchView<MatrixCounts, Space> counts;       ///< for stochastic rounding: the steps that a matrix has taken
  StepRates rates;
  DecayMode mode;
  bool transposed;  ///< whether the rows here are the user's columns
  std::size_t rows, cols;
  GroupedArrays grouped{};
  long long waits = 0;  ///< first steps of a matrix that leave its weights as they are

  [[nodiscard]] KOKKOS_FUNCTION bool moves(std::size_t k) const {
    return waits == 0 || counts(records(k).number).applied >= waits;
  }
};

/// Applies a direction's elements to the weights: W ← W − (decay·W + lr·scale·factor·direction), or the formula of
/// another DecayMode. It subtracts decay·W and does not multiply by 1 − decay, which would lose the digits of a small
/// decay.
template <Scalar T, class Space>
struct ApplySink {
  WeightUpdate<T, Space> update;

  struct Block {
    SplitFactor factor;
    double rate, decay;
  };
  KOKKOS_FUNCTION Block begin(std::size_t k) const {
    const MatrixRecord& record = update.records(k);
    const double moves = update.moves(k) ? 1 : 0;
    return {update.factor.extent(0) > 0 ? update.factor(k) : SplitFactor{}, moves * update.rates.lr() * record.scale,
            moves * update.rates.decay() * record.decay};
  }
  void store(const Block& block, std::size_t k, std::size_t cols, std::size_t first, std::size_t count,
             const T* direction) const {
    const MatrixRecord& record = update.records(k);
    const bool has_master = update.master.data != nullptr;
    const TypedMatrix numbers = has_master ? update.master.matrix(k) : record.weight;
    if (count == chunk && !record.stochastic && !has_master) {
      if (T* const in_place = contiguous_elements<T>(numbers, cols, first, chunk); in_place != nullptr) {
        return change(block, count, direction, in_place);
      }
    }
    T weight[chunk];
    load_elements<T>(numbers, cols, first, count, weight);
    std::fill(weight + count, weight + chunk, T(0));
    change(block, count, direction, weight);
    if (has_master) store_elements<T>(update.master.matrix(k), cols, first, count, weight);
    if (!record.stochastic) return store_elements<T>(record.weight, cols, first, count, weight);
    store_at_random(k, cols, first, count, weight);
  }
  void end(const Block&, std::size_t) const {}
  void skip(std::size_t, std::size_t, std::size_t) const {}

  /// Device: as begin and store, for groups of elements.
  struct OfThread {
    const MatrixRecord* record;
    GroupedMatrix weight;
    T rate, decay;
    bool plain;  ///< whether the factor is 1
  };
  [[nodiscard]] bool can_group(std::size_t) const {
    return update.grouped.weights && reinterpret_cast<std::uintptr_t>(update.master.data) % 16 == 0;
  }
  KOKKOS_FORCEINLINE_FUNCTION OfThread begin_thread(std::size_t k) const {
    const MatrixRecord& record = update.records(k);
    const Block block = begin(k);
    return {&record, GroupedMatrix(record.weight), T(block.rate), T(block.decay), block.factor.is_one()};
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void load_group(const OfThread& its, std::size_t k, const GroupPlace<count>& place,
                                              T* weight) const {
    if (update.master.data == nullptr) return schatten::load_group<T>(its.weight, its.record->weight, place, weight);
    const TypedMatrix copy = update.master.matrix(k);
    schatten::load_group<T>(GroupedMatrix(copy), copy, place, weight);
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void store_group(const OfThread& its, std::size_t k, const GroupPlace<count>& place,
                                               const T* direction, T* weight) const {
    with_decay(update.mode, its.decay, [&](const auto& decay) {
      if (its.plain) {
        change_by<count>(decay, its.rate, direction, weight);
      } else {
        change_by<count>(decay, begin(k), count, direction, weight);
      }
    });
    if (update.master.data != nullptr) {
      const TypedMatrix copy = update.master.matrix(k);
      schatten::store_group<T>(GroupedMatrix(copy), copy, place, weight);
    }
    if (!its.record->stochastic) return schatten::store_group<T>(its.weight, its.record->weight, place, weight);
    std::uint32_t bits[count];
    bits_of_group(k, place, bits);
    schatten::store_group<T>(its.weight, its.record->weight, place, weight, bits);
  }
  KOKKOS_FUNCTION void end_thread(const OfThread&, std::size_t) const {}
  template <std::size_t count>
  KOKKOS_FUNCTION void skip_group(const OfThread&, std::size_t, const GroupPlace<count>&) const {}

 private:
  void change(const Block& block, std::size_t count, const T* direction, T* weight) const {
    with_decay(update.mode, T(block.decay), [&](const auto& decay) {
      if (block.factor.is_one()) {
        change_by<chunk>(decay, T(block.rate), direction, weight);
      } else {
        change_by<chunk>(decay, block, count, direction, weight);
      }
    });
  }
  template <std::size_t length, class D>
  KOKKOS_FORCEINLINE_FUNCTION static void change_by(const D decay, T rate, const T* KOKKOS_RESTRICT direction,
                                                    T* KOKKOS_RESTRICT weight) {
    for (std::size_t c = 0; c < length; ++c) weight[c] -= decay(weight[c], rate * direction[c]);
  }
  template <std::size_t length, class D>
  KOKKOS_FORCEINLINE_FUNCTION static void change_by(const D decay, const Block& block, std::size_t count,
                                                    const T* KOKKOS_RESTRICT direction, T* KOKKOS_RESTRICT weight) {
    for (std::size_t c = 0; c < count; ++c) weight[c] -= decay(weight[c], scaled(block, direction[c]));
  }
  /// rate·factor·d; the factor that brings d closer to the result is applied first.
  KOKKOS_FUNCTION static T scaled(const Block& block, T d) {
    return T(double(d) * block.factor.first * block.rate * block.factor.second);
  }
  [[nodiscard]] KOKKOS_FUNCTION RandomBits bits_of(std::size_t k) const {
    const MatrixRecord& record = update.records(k);
    return {record.key, std::uint64_t(update.counts(record.number).applied)};
  }
  template <std::size_t count>
  KOKKOS_FORCEINLINE_FUNCTION void bits_of_group(std::size_t k, const GroupPlace<count>& place,
                                                 std::uint32_t* bits) const {
    const std::uint64_t start = update.records(k).first_element;
    std::uint64_t number[count];
    if (update.transposed) {
      place.for_each([&](std::size_t c, std::size_t i, std::size_t j) { number[c] = start + j * update.rows + i; });
    } else {
      for (std::size_t c = 0; c < count; ++c) number[c] = start + place.at + c;
    }
    bits_of(k).template each<count>(number, bits);
  }
  void store_at_random(std::size_t k, std::size_t cols, std::size_t first, std::size_t count, const T* weight) const {
    const MatrixRecord& record = update.records(k);
    const RandomBits random = bits_of(k);
    std::uint16_t bits[chunk];
    if (update.transposed) {
      std::size_t i = first / cols, j = first % cols;
      for (std::size_t c = 0; c < count; ++c) {
        bits[c] = std::uint16_t(random.sixteen(record.first_element + j * update.rows + i));
        if (++j == cols) ++i, j = 0;
      }
    } else {
      random.fill(record.first_element + first, count, bits);
    }
    store_elements_stochastically<T>(record.weight, cols, first, count, weight, bits);
  }
};

}  // namespace schatten::optim
