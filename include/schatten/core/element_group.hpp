// SPDX-License-Identifier: BSD-3-Clause
// Four consecutive elements of a matrix, read and written by one thread of a device: by one access of up to 16 bytes if
// they are contiguous and aligned.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/parallel.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace schatten {

/// Whether data is used again soon. If not, a device's caches should drop it first.
enum class Reuse { once, soon };

namespace detail {

/// The elements of a group in memory.
template <class Memory>
struct alignas(sizeof(Memory) * group_size < 16 ? sizeof(Memory) * group_size : 16) PackedGroup {
  Memory x[group_size];
};

#if defined(__CUDA_ARCH__)
/// What CUDA reads and writes at once: a group of 16-bit elements, or 16 bytes.
template <class Memory>
using PackedBits = std::conditional_t<sizeof(Memory) == 2, uint2, uint4>;
template <class Memory>
struct PackedParts {
  static constexpr std::size_t count = sizeof(PackedGroup<Memory>) / sizeof(PackedBits<Memory>);
  PackedBits<Memory> part[count];
};
#endif

template <Reuse reuse, class Memory>
KOKKOS_FORCEINLINE_FUNCTION PackedGroup<Memory> load_packed(const Memory* from) {
#if defined(__CUDA_ARCH__)
  const auto* const bits = reinterpret_cast<const PackedBits<Memory>*>(from);
  PackedParts<Memory> parts;
  for (std::size_t p = 0; p < parts.count; ++p) parts.part[p] = reuse == Reuse::once ? __ldcs(bits + p) : bits[p];
  return std::bit_cast<PackedGroup<Memory>>(parts);
#else
  return *reinterpret_cast<const PackedGroup<Memory>*>(from);
#endif
}

template <Reuse reuse, class Memory>
KOKKOS_FORCEINLINE_FUNCTION void store_packed(Memory* to, const PackedGroup<Memory>& numbers) {
#if defined(__CUDA_ARCH__)
  auto* const bits = reinterpret_cast<PackedBits<Memory>*>(to);
  const auto parts = std::bit_cast<PackedParts<Memory>>(numbers);
  for (std::size_t p = 0; p < parts.count; ++p) {
    if constexpr (reuse == Reuse::once) {
      __stcs(bits + p, parts.part[p]);
    } else {
      __stwb(bits + p, parts.part[p]);
    }
  }
#else
  *reinterpret_cast<PackedGroup<Memory>*>(to) = numbers;
#endif
}

/// Calls use(Stored<E>()) with the E of `type`, in kernels.
template <class Use>
KOKKOS_FORCEINLINE_FUNCTION void with_stored_in_kernel(ElementType type, const Use& use) {
  switch (type) {
    case ElementType::float32: return use(Stored<float>());
    case ElementType::float64: return use(Stored<double>());
    case ElementType::float16: return use(Stored<Half>());
    case ElementType::bfloat16: return use(Stored<BFloat16>());
  }
}

}  // namespace detail

/// The place of elements in a matrix with rows of `cols` elements.
template <std::size_t count>
struct GroupPlace {
  std::size_t at;    ///< number of the first element, row-major
  std::size_t cols;  ///< of a row
  [[nodiscard]] KOKKOS_FORCEINLINE_FUNCTION std::size_t row() const { return at / cols; }
  /// Calls f(c, i, j) with the row and column of element at + c for c < count. The loop is unrolled: numbers stay in
  /// registers.
  template <class F>
  KOKKOS_FORCEINLINE_FUNCTION void for_each(const F& f) const {
    std::size_t i = row(), j = at - i * cols;
    for (std::size_t c = 0; c < count; ++c) {
      f(c, i, j);
      if (++j == cols) ++i, j = 0;
    }
  }
};

/// Whether a matrix with rows of `cols` elements is contiguous row-major, and aligned so that a group, or 16 bytes of
/// it, is one access.
KOKKOS_FUNCTION inline bool is_grouped(const TypedMatrix& a, std::size_t cols) {
  const std::size_t bytes = size_of(a.type) * group_size, alignment = bytes < 16 ? bytes : 16;
  return a.col_stride == 1 && a.row_stride == cols && a.nested.inner == 0 &&
         reinterpret_cast<std::uintptr_t>(a.data) % alignment == 0;
}

/// What a thread reads once of a matrix for all of its groups.
struct GroupedMatrix {
  char* data = nullptr;
  ElementType type = ElementType::float32;
  GroupedMatrix() = default;
  KOKKOS_FORCEINLINE_FUNCTION explicit GroupedMatrix(const TypedMatrix& a)
      : data(static_cast<char*>(a.data)), type(a.type) {}
};

/// to[c] ← element place.at + c of `a`, rounded to the nearest T. grouped: of `a`. @pre count = 1, or is_grouped(a).
template <Scalar T, Reuse reuse = Reuse::once, std::size_t count>
KOKKOS_FORCEINLINE_FUNCTION void load_group(const GroupedMatrix& grouped, const TypedMatrix& a,
                                            const GroupPlace<count>& place, T* to) {
  if constexpr (count == 1) {
    place.for_each([&](std::size_t c, std::size_t i, std::size_t j) { to[c] = load_element<T>(a, i, j); });
  } else {
    detail::with_stored_in_kernel(grouped.type, [&]<class S>(S) {
      using Memory = typename S::Memory;
      const auto numbers = detail::load_packed<reuse>(reinterpret_cast<const Memory*>(grouped.data) + place.at);
      for (std::size_t c = 0; c < count; ++c) to[c] = S::template load<T>(numbers.x[c]);
    });
  }
}

/// Element place.at + c of `a` ← from[c], rounded once: to the nearest, or where bits are given and the type has 16
/// bits, by bits[c] (RandomBits). As load_group.
template <Scalar T, Reuse reuse = Reuse::once, std::size_t count, class... Bits>
KOKKOS_FORCEINLINE_FUNCTION void store_group(const GroupedMatrix& grouped, const TypedMatrix& a,
                                             const GroupPlace<count>& place, const T* from, const Bits*... bits) {
  if constexpr (count == 1) {
    place.for_each(
        [&](std::size_t c, std::size_t i, std::size_t j) { detail::store_at(a, a.at(i, j), from[c], bits[c]...); });
  } else {
    detail::with_stored_in_kernel(grouped.type, [&]<class S>(S) {
      using Memory = typename S::Memory;
      detail::PackedGroup<Memory> numbers;
      for (std::size_t c = 0; c < count; ++c) numbers.x[c] = S::store(from[c], bits[c]...);
      detail::store_packed<reuse>(reinterpret_cast<Memory*>(grouped.data) + place.at, numbers);
    });
  }
}

/// A row-major contiguous array of T.
template <Scalar T>
KOKKOS_FORCEINLINE_FUNCTION TypedMatrix contiguous_matrix(const T* data, std::size_t cols) {
  return {const_cast<T*>(data), cols, 1, element_type_of<T>};
}

}  // namespace schatten
