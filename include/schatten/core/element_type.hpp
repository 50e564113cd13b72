// SPDX-License-Identifier: BSD-3-Clause
// The types of weights and gradients, known at run time. Code that reads and writes through these functions is compiled
// once for all types.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/random_bits.hpp>
#include <schatten/core/reduced_float.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

namespace schatten {

/// The type of an element in memory. float16 is IEEE binary16.
enum class ElementType : std::uint8_t { float32, float64, float16, bfloat16 };

/// The type's name, as the enumerator spells it.
inline std::string to_string(ElementType type) {
  constexpr const char* names[] = {"float32", "float64", "float16", "bfloat16"};
  return names[static_cast<std::size_t>(type)];
}

/// Bytes of an element.
KOKKOS_FUNCTION constexpr std::size_t size_of(ElementType type) {
  return type == ElementType::float64 ? 8 : type == ElementType::float32 ? 4 : 2;
}

namespace detail {

/// Whether E is binary16: Half, or Kokkos' half type where that is not another name of float.
template <class E>
inline constexpr bool is_float16 = std::same_as<E, Half> || (std::same_as<E, Kokkos::Experimental::half_t> &&
                                                             sizeof(Kokkos::Experimental::half_t) == 2);

#if defined(KOKKOS_BHALF_T_IS_FLOAT) || KOKKOS_VERSION >= 30700
template <class E>
inline constexpr bool is_bfloat16 = std::same_as<E, BFloat16> || (std::same_as<E, Kokkos::Experimental::bhalf_t> &&
                                                                  sizeof(Kokkos::Experimental::bhalf_t) == 2);
#else
template <class E>
inline constexpr bool is_bfloat16 = std::same_as<E, BFloat16>;
#endif

}  // namespace detail

/// The types that a parameter's elements may have in C++, without const: float, double, Half, BFloat16, and
/// Kokkos::Experimental's half_t and bhalf_t where they have 16 bits. Other 16-bit types: as_bfloat16, as_half
/// (interop/pointers.hpp).
template <class E>
concept ParameterElement = Scalar<E> || detail::is_float16<E> || detail::is_bfloat16<E>;

/// The ElementType of E.
template <ParameterElement E>
inline constexpr ElementType element_type_of = std::same_as<E, float>    ? ElementType::float32
                                               : std::same_as<E, double> ? ElementType::float64
                                               : detail::is_float16<E>   ? ElementType::float16
                                                                         : ElementType::bfloat16;

/// One index k = (o·middle + m)·inner + i for up to three indices whose strides do not fold into one: a convolution
/// read as a matrix.
struct NestedIndex {
  std::size_t inner = 0, middle = 0;  ///< extents; inner 0: not nested
  std::size_t middle_stride = 0, outer_stride = 0;

  /// Offset of k in elements. `stride`: of the innermost index.
  [[nodiscard]] KOKKOS_FUNCTION std::size_t at(std::size_t k, std::size_t stride) const {
    const std::size_t whole = k / inner, outer = whole / middle;
    return (k - whole * inner) * stride + (whole - outer * middle) * middle_stride + outer * outer_stride;
  }
};

/// A matrix whose element type is known at run time. Element (i, j) has the offset i·row_stride + j·col_stride from
/// `data`, in elements; a nested index gives its rows or its columns more strides. Owns nothing. Not const: functions
/// that only read say so.
struct TypedMatrix {
  void* data = nullptr;
  std::size_t row_stride = 0, col_stride = 0;  ///< in elements; any value for an index of extent 1
  ElementType type = ElementType::float32;
  bool nested_rows = false;  ///< whether `nested` is the row index
  NestedIndex nested{};

  [[nodiscard]] KOKKOS_FUNCTION std::size_t at(std::size_t i, std::size_t j) const {
    if (nested.inner == 0) return i * row_stride + j * col_stride;
    return nested_rows ? nested.at(i, row_stride) + j * col_stride : i * row_stride + nested.at(j, col_stride);
  }
};

namespace detail {

/// Reads an E from memory and writes it. 16-bit types are read and written as 16-bit integers, whatever type another
/// library gave them.
template <Element E>
struct Stored {
  using Memory = E;
  template <Scalar T>
  KOKKOS_FUNCTION static T load(Memory x) {
    return static_cast<T>(x);
  }
  template <Scalar T, class... Bits>
  KOKKOS_FUNCTION static Memory store(T x, Bits...) {
    return static_cast<Memory>(x);
  }
};

template <Element E>
  requires(sizeof(E) == 2)
struct Stored<E> {
  using Memory = std::uint16_t;
  template <Scalar T>
  KOKKOS_FUNCTION static T load(Memory x) {
    return T(std::bit_cast<E>(x));
  }
  template <Scalar T>
  KOKKOS_FUNCTION static Memory store(T x) {
    return E(x).bits;
  }
  template <Scalar T>
  KOKKOS_FUNCTION static Memory store(T x, std::uint32_t bits16) {
    if constexpr (std::same_as<E, Half>) {
      return stochastic_half(x, bits16).bits;
    } else {
      return stochastic_bfloat16(x, bits16).bits;
    }
  }
};

/// Element number `at` from the data on ← x, rounded by `bits16` where given and where it has 16 bits.
template <class T, class... Bits>
KOKKOS_FUNCTION void store_at(const TypedMatrix& a, std::size_t at, T x, Bits... bits16) {
  switch (a.type) {
    case ElementType::float32: static_cast<float*>(a.data)[at] = Stored<float>::store(x, bits16...); break;
    case ElementType::float64: static_cast<double*>(a.data)[at] = Stored<double>::store(x, bits16...); break;
    case ElementType::float16: static_cast<std::uint16_t*>(a.data)[at] = Stored<Half>::store(x, bits16...); break;
    case ElementType::bfloat16: static_cast<std::uint16_t*>(a.data)[at] = Stored<BFloat16>::store(x, bits16...); break;
  }
}

}  // namespace detail

/// Returns element (i, j), rounded to the nearest T.
template <Scalar T>
KOKKOS_FUNCTION T load_element(const TypedMatrix& a, std::size_t i, std::size_t j) {
  const std::size_t at = a.at(i, j);
  switch (a.type) {
    case ElementType::float64: return static_cast<T>(static_cast<const double*>(a.data)[at]);
    case ElementType::float16: return detail::Stored<Half>::load<T>(static_cast<const std::uint16_t*>(a.data)[at]);
    case ElementType::bfloat16: return detail::Stored<BFloat16>::load<T>(static_cast<const std::uint16_t*>(a.data)[at]);
    case ElementType::float32: break;
  }
  return static_cast<T>(static_cast<const float*>(a.data)[at]);
}

/// Element (i, j) ← x, rounded once to the nearest, ties to even.
template <Scalar T>
KOKKOS_FUNCTION void store_element(const TypedMatrix& a, std::size_t i, std::size_t j, T x) {
  detail::store_at(a, a.at(i, j), x);
}

/// Element (i, j) ← x. 16-bit types are rounded by 16 random bits (stochastic_bfloat16, stochastic_half), other types
/// to the nearest.
template <Scalar T>
KOKKOS_FUNCTION void store_element_stochastically(const TypedMatrix& a, std::size_t i, std::size_t j, T x,
                                                  std::uint32_t bits16) {
  detail::store_at(a, a.at(i, j), x, bits16);
}

namespace detail {

/// Calls use(Stored<E>()) with the E of `type`.
template <class Use>
void with_stored(ElementType type, const Use& use) {
  switch (type) {
    case ElementType::float32: return use(Stored<float>());
    case ElementType::float64: return use(Stored<double>());
    case ElementType::float16: return use(Stored<Half>());
    case ElementType::bfloat16: return use(Stored<BFloat16>());
  }
}

template <class S, class T>
struct Load {
  T operator()(typename S::Memory x) const { return S::template load<T>(x); }
};

template <class S>
struct Store {
  template <class... Numbers>
  typename S::Memory operator()(Numbers... x_and_bits) const {
    return S::store(x_and_bits...);
  }
};

/// to[k·to_stride] ← convert(from[k·from_stride], more[k]...) for k < count; a copy if the types are equal. Works in
/// blocks of fixed length if both strides are 1: g++ -O2 vectorises no other loops.
template <class Convert, class To, class From, class... More>
void convert_elements(std::size_t count, const Convert& convert, To* KOKKOS_RESTRICT to, std::size_t to_stride,
                      const From* KOKKOS_RESTRICT from, std::size_t from_stride, const More* KOKKOS_RESTRICT... more) {
  constexpr std::size_t block = 32;
  std::size_t k = 0;
  if (to_stride == 1 && from_stride == 1) {
    if constexpr (std::same_as<To, From>) {
      std::memcpy(to, from, count * sizeof(To));
      k = count;
    } else {
      for (; k + block <= count; k += block) {
        for (std::size_t j = k; j < k + block; ++j) to[j] = convert(from[j], more[j]...);
      }
    }
  }
  for (; k < count; ++k) to[k * to_stride] = convert(from[k * from_stride], more[k]...);
}

/// Splits the elements first to first + count - 1, counted row-major, into pieces of evenly spaced elements, and calls
/// run(at, stride, done, length) for each: `at` is the offset of its first element, `done` the number of elements
/// before it.
template <class Run>
void for_each_run(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count, const Run& run) {
  if (count == 0) return;
  std::size_t row = first / cols, col = first - row * cols;
  if (a.nested.inner != 0) {
    const std::size_t most = a.nested_rows ? cols : a.nested.inner;
    for (std::size_t done = 0; done < count;) {
      const std::size_t length = (std::min)({most - col % most, cols - col, count - done});
      run(a.at(row, col), a.col_stride, done, length);
      done += length;
      col += length;
      if (col == cols) ++row, col = 0;
    }
    return;
  }
  if (cols == 1) return run(row * a.row_stride, a.row_stride, std::size_t{0}, count);
  const bool even = a.row_stride == cols * a.col_stride;
  for (std::size_t done = 0; done < count; ++row, col = 0) {
    const std::size_t length = even ? count : (std::min)(cols - col, count - done);
    run(row * a.row_stride + col * a.col_stride, a.col_stride, done, length);
    done += length;
  }
}

/// As store_elements, with random bits for each element if they are given.
template <class T, class... Bits>
void store_all(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count, const T* from,
               const Bits*... bits) {
  with_stored(a.type, [&]<class S>(S) {
    using Memory = typename S::Memory;
    for_each_run(a, cols, first, count, [&](auto at, auto stride, auto done, auto length) {
      convert_elements(length, Store<S>(), static_cast<Memory*>(a.data) + at, stride, from + done, 1, (bits + done)...);
    });
  });
}

}  // namespace detail

/// Pointer to elements [first, first + count), if they are of type T and contiguous in the order of load_elements; else
/// null.
template <Scalar T>
T* contiguous_elements(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count) {
  if (a.type != element_type_of<T> || a.nested.inner != 0) return nullptr;
  if (a.col_stride == 1 && a.row_stride == cols) return static_cast<T*>(a.data) + first;
  if (a.col_stride != 1 && cols != 1) return nullptr;
  const std::size_t row = first / cols, col = first % cols;
  if (col + count > cols) return nullptr;
  return static_cast<T*>(a.data) + row * a.row_stride + col;
}

/// to[k] ← element first + k of `a` for k < count, rounded to the nearest T. Elements are counted along the rows, of
/// `cols` each. @pre they exist. On the host. Vectorised if the elements are contiguous. One division per
/// call.
template <Scalar T>
void load_elements(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count, T* to) {
  detail::with_stored(a.type, [&]<class S>(S) {
    using Memory = typename S::Memory;
    detail::for_each_run(a, cols, first, count, [&](auto at, auto stride, auto done, auto length) {
      detail::convert_elements(length, detail::Load<S, T>(), to + done, 1, static_cast<const Memory*>(a.data) + at,
                               stride);
    });
  });
}

/// Element first + k of `a` ← from[k] for k < count, rounded once to the nearest, ties to even. As load_elements.
template <Scalar T>
void store_elements(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count, const T* from) {
  detail::store_all(a, cols, first, count, from);
}

/// As store_elements, but elements of 16 bits are rounded stochastically, that of from[k] by bits[k]: see
/// RandomBits::fill.
template <Scalar T>
void store_elements_stochastically(const TypedMatrix& a, std::size_t cols, std::size_t first, std::size_t count,
                                   const T* from, const std::uint16_t* bits) {
  detail::store_all(a, cols, first, count, from, bits);
}

}  // namespace schatten
