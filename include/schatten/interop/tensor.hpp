// SPDX-License-Identifier: BSD-3-Clause
// Tensors of other programs, whose type and rank are known at run time. The headers of this folder that take such
// tensors (dlpack.hpp, c_api.hpp, torch.hpp) share these checks.
#pragma once

#include <schatten/core/element_type.hpp>
#include <schatten/core/error.hpp>
#include <schatten/core/views.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace schatten {

/// A tensor in the memory of another program: element (i, j, …) is data[i·stride[0] + j·stride[1] + …]. It owns no
/// memory, and does not distinguish const memory.
struct TensorRef {
  void* data = nullptr;                     ///< the element (0, 0, …)
  ElementType type = ElementType::float32;  ///< of the elements
  std::size_t rank = 1;                     ///< 1 to 4
  std::size_t shape[4] = {1, 1, 1, 1};      ///< extents
  std::size_t stride[4] = {};               ///< in elements

  /// The number of elements.
  [[nodiscard]] std::size_t size() const {
    std::size_t product = 1;
    for (std::size_t d = 0; d < rank; ++d) product *= shape[d];
    return product;
  }
};

/// Returns the contiguous, row-major tensor at `data`. Throws InvalidArgument for a shape with no index or more than
/// four, and for a shape that exceeds the address space.
inline TensorRef contiguous_tensor(void* data, ElementType type, const std::vector<std::size_t>& shape,
                                   std::string_view function = "contiguous_tensor", const Words& argument = "shape") {
  require(!shape.empty() && shape.size() <= 4, function, argument, detail::shape_text(shape),
          "must have one to four extents");
  TensorRef tensor{.data = data, .type = type, .rank = shape.size()};
  std::size_t stride = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    require(shape[d] == 0 || stride <= (std::numeric_limits<std::size_t>::max)() / 16 / shape[d], function, argument,
            detail::shape_text(shape), "must have fewer elements");
    tensor.shape[d] = shape[d];
    tensor.stride[d] = stride;
    if (shape[d] > 0) stride *= shape[d];
  }
  return tensor;
}

namespace detail {

/// Calls f with the tensor as a View of E with the rank of `Pointer`: E*, E**, ….
template <class Pointer, class MemorySpace, class E, class F>
void with_view_of(const TensorRef& t, const F& f) {
  using View = Kokkos::View<Pointer, Kokkos::LayoutStride, MemorySpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>>;
  Kokkos::LayoutStride layout;
  for (std::size_t d = 0; d < t.rank; ++d) {
    layout.dimension[d] = t.shape[d];
    layout.stride[d] = t.stride[d];
  }
  f(View(static_cast<E*>(t.data), layout));
}

template <class MemorySpace, class E, class F>
void with_view_of_rank(const TensorRef& t, const F& f) {
  switch (t.rank) {
    case 1: return with_view_of<E*, MemorySpace, E>(t, f);
    case 2: return with_view_of<E**, MemorySpace, E>(t, f);
    case 3: return with_view_of<E***, MemorySpace, E>(t, f);
    default: return with_view_of<E****, MemorySpace, E>(t, f);
  }
}

}  // namespace detail

/// Calls f(view) with the tensor as a View of its type and rank. `MemorySpace` is the space of the memory.
///
/// f must take Views of float, double, Half and BFloat16 of rank 1 to 4. No copy. Throws InvalidArgument for a null
/// pointer, for a pointer without the alignment of the type, for strides that exceed the address space, and for a rank
/// above 4.
template <class MemorySpace = Kokkos::HostSpace, class F>
void with_view(const TensorRef& tensor, std::string_view function, std::string_view argument, const F& f) {
  require(tensor.rank >= 1 && tensor.rank <= 4, function, argument, {"rank ", tensor.rank}, "must have rank 1 to 4");
  StridedArray memory{.data = tensor.data, .element_bytes = size_of(tensor.type)};
  std::copy_n(tensor.shape, tensor.rank, memory.extent);
  std::copy_n(tensor.stride, tensor.rank, memory.stride);
  require_memory(memory, function, argument);
  switch (tensor.type) {
    case ElementType::float32: return detail::with_view_of_rank<MemorySpace, float>(tensor, f);
    case ElementType::float64: return detail::with_view_of_rank<MemorySpace, double>(tensor, f);
    case ElementType::float16: return detail::with_view_of_rank<MemorySpace, Half>(tensor, f);
    case ElementType::bfloat16: return detail::with_view_of_rank<MemorySpace, BFloat16>(tensor, f);
  }
}

}  // namespace schatten
