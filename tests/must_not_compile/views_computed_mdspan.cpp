// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: schatten: the mdspan's accessor computes its elements
#include <schatten/interop/mdspan.hpp>

#include <array>

/// An mdspan of a row, whose accessor returns the elements or, as std::linalg::scaled has it, multiples of them.
struct Row {
  using element_type = const float;
  struct extents_type {
    using rank_type = std::size_t;
  };
  struct accessor_type {
#if defined(POSITIVE_CONTROL)
    using reference = const float&;
#else
    using reference = float;
#endif
  };
  static constexpr std::size_t rank() { return 1; }
  [[nodiscard]] const float* data_handle() const { return elements.data(); }
  [[nodiscard]] static std::size_t extent(std::size_t) { return 3; }
  [[nodiscard]] static std::size_t stride(std::size_t) { return 1; }
  [[nodiscard]] static bool is_strided() { return true; }
  std::array<float, 3> elements{};
};

float first(const Row& row) { return schatten::view(row)(0); }
