// SPDX-License-Identifier: BSD-3-Clause
// DLPack tensors, of the first interface (DLManagedTensor) and of the versioned one, as Views, and Views as DLPack
// tensors. No copy.
//
// DLPack's header is not needed. Functions take any struct with its members: those of dlpack.h, or those of
// schatten::dlpack, which have the same layout. A program may use both.
#pragma once

#include <schatten/interop/tensor.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace schatten {

/// DLPack's structs (its version 1), for programs that have no dlpack.h.
namespace dlpack {

struct Version {
  std::uint32_t major, minor;
};
struct Device {
  /// 1: host, 2: CUDA, 3: host memory that CUDA pinned, 10: ROCm, 11: host memory that ROCm pinned, 13: managed by
  /// CUDA, 14: oneAPI
  std::int32_t device_type;
  std::int32_t device_id;
};
struct DataType {
  std::uint8_t code;  ///< 2: IEEE floating point, 4: bfloat
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  std::int32_t ndim;
  DataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  ///< in elements; null: contiguous, row-major
  std::uint64_t byte_offset;
};
struct ManagedTensor {
  Tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(ManagedTensor* self);
};
struct ManagedTensorVersioned {
  Version version;
  void* manager_ctx;
  void (*deleter)(ManagedTensorVersioned* self);
  std::uint64_t flags;  ///< bit 0: read-only
  Tensor dl_tensor;
};

/// A struct with the members of DLPack's DLTensor.
template <class D>
concept TensorLike = requires(const D& t) {
  t.data;
  t.device.device_type;
  t.ndim;
  t.dtype.code;
  t.dtype.bits;
  t.dtype.lanes;
  t.shape;
  t.strides;
  t.byte_offset;
};
/// A struct with the members of DLManagedTensor or DLManagedTensorVersioned.
template <class M>
concept ManagedLike = requires(const M& m) {
  requires TensorLike<std::remove_cvref_t<decltype(m.dl_tensor)>>;
  m.deleter;
  m.manager_ctx;
};

/// The device type of the memory of the device that this build of Kokkos uses.
#if defined(KOKKOS_ENABLE_HIP)
inline constexpr std::int32_t kokkos_device = 10;
#elif defined(KOKKOS_ENABLE_SYCL)
inline constexpr std::int32_t kokkos_device = 14;
#else
inline constexpr std::int32_t kokkos_device = 2;
#endif

/// Whether memory of a device type is accessible as this memory space of Kokkos.
template <class MemorySpace>
bool device_is(std::int32_t type) {
  [[maybe_unused]] constexpr std::int32_t host = 1, cuda_pinned = 3, rocm_pinned = 11, cuda_managed = 13;
  const bool of_cuda = type == cuda_pinned || type == cuda_managed,
             of_rocm = type == rocm_pinned;  // both sides reach it
  if constexpr (std::is_same_v<MemorySpace, Kokkos::HostSpace>) {
    return type == host || of_cuda || of_rocm;
  } else {
#if defined(KOKKOS_ENABLE_HIP)
    return type == kokkos_device || of_rocm;
#elif defined(KOKKOS_ENABLE_SYCL)
    return type == kokkos_device;
#else
    return of_cuda ||
           (type == kokkos_device && !bool(Kokkos::SpaceAccessibility<Kokkos::HostSpace, MemorySpace>::accessible));
#endif
  }
}

}  // namespace dlpack

/// Checks a DLPack tensor and returns it as a TensorRef, for with_view or Optimizer::add.
///
/// Throws InvalidArgument for a device other than MemorySpace's, a type other than float16, bfloat16, float32 and
/// float64, a rank other than 1 to 4, a negative extent or stride, a null pointer, and an offset that is no multiple of
/// the element's size.
template <class MemorySpace = Kokkos::HostSpace, dlpack::TensorLike D>
TensorRef tensor_of(const D& t, std::string_view function = "tensor_of", std::string_view argument = "tensor") {
  const auto of = [&](std::string_view member) { return Words(argument, ".", member); };
  require(dlpack::device_is<MemorySpace>(static_cast<std::int32_t>(t.device.device_type)), function, of("device"),
          static_cast<std::int32_t>(t.device.device_type), {"must be one of ", MemorySpace::name()});
  const int code = int(t.dtype.code), bits = int(t.dtype.bits);
  require(t.dtype.lanes == 1, function, of("dtype.lanes"), t.dtype.lanes, "must be 1");
  const bool ieee = code == 2 && (bits == 16 || bits == 32 || bits == 64);
  require(ieee || (code == 4 && bits == 16), function, of("dtype"), {"code ", code, " of ", bits, " bits"},
          "must be float16, bfloat16, float32 or float64");
  require(t.ndim >= 1 && t.ndim <= 4, function, of("ndim"), t.ndim, "must be 1 to 4");
  require(t.shape != nullptr, function, of("shape"), "null", "must point to the extents");
  std::vector<std::size_t> shape;
  for (int d = 0; d < t.ndim; ++d) {
    require(t.shape[d] >= 0, function, of("shape"), t.shape[d], "must not have a negative extent");
    shape.push_back(static_cast<std::size_t>(t.shape[d]));
  }
  const ElementType type = code == 4    ? ElementType::bfloat16
                           : bits == 16 ? ElementType::float16
                           : bits == 32 ? ElementType::float32
                                        : ElementType::float64;
  TensorRef tensor = contiguous_tensor(nullptr, type, shape, function, of("shape"));
  for (std::size_t d = 0; t.strides != nullptr && d < tensor.rank; ++d) {
    require(t.strides[d] >= 0 || shape[d] <= 1, function, of("strides"), t.strides[d], "must not be negative");
    tensor.stride[d] = t.strides[d] >= 0 ? static_cast<std::size_t>(t.strides[d]) : 0;
  }
  require(t.data != nullptr || tensor.size() == 0, function, of("data"), "null", "must point to memory");
  require(tensor.size() == 0 || t.byte_offset % size_of(type) == 0, function, of("byte_offset"), t.byte_offset,
          "must be a multiple of the element's size");
  if (t.data != nullptr) tensor.data = static_cast<char*>(t.data) + t.byte_offset;
  return tensor;
}

/// The same for a managed tensor. Throws also for a versioned tensor with a major version other than 1, and for a
/// read-only tensor unless `reads_only` is set.
template <class MemorySpace = Kokkos::HostSpace, dlpack::ManagedLike M>
TensorRef tensor_of(const M& managed, std::string_view function = "tensor_of", std::string_view argument = "tensor",
                    bool reads_only = false) {
  if constexpr (requires { managed.version.major; }) {
    require(managed.version.major == 1, function, {argument, ".version"}, managed.version.major,
            "must be 1, the major version that is known");
    require(reads_only || (managed.flags & 1) == 0, function, {argument, ".flags"}, managed.flags,
            "must not say that the memory is read-only");
  }
  return tensor_of<MemorySpace>(managed.dl_tensor, function, argument);
}

/// Returns an owner of a managed tensor, which calls its deleter at the end. Throws InvalidArgument for null, which is
/// the pointer of a capsule that was taken already.
template <dlpack::ManagedLike M>
auto own_dlpack(M* managed) {
  require(managed != nullptr, "own_dlpack", "managed", "null", "must be a tensor that nobody has taken yet");
  const auto release = [](M* m) {
    if (m->deleter != nullptr) m->deleter(m);
  };
  return std::unique_ptr<M, decltype(release)>(managed, release);
}

namespace detail {

template <class Managed, class View>
struct DlpackExport {
  Managed managed{};
  std::int64_t shape[4] = {}, strides[4] = {};
  View view;  ///< keeps the memory alive if the View manages it
  explicit DlpackExport(const View& v) : view(v) {}
};

}  // namespace detail

/// Returns a managed tensor of a View's memory, for a consumer that calls its deleter: dlpack::ManagedTensorVersioned,
/// dlpack::ManagedTensor, or the types of dlpack.h. If the View manages its memory, the memory exists until then.
///
/// Rank 1 to 4, any layout. A View of const needs the versioned form, which has a read-only flag.
template <dlpack::ManagedLike Managed = dlpack::ManagedTensorVersioned, KokkosView V>
Managed* to_dlpack(const V& view, std::int32_t device_id = 0) {
  using E = scalar_of<V>;
  static_assert(ParameterElement<E>, "schatten: the View's elements must be float, double or of 16 bits");
  static_assert(view_rank<V> >= 1 && view_rank<V> <= 4, "schatten: the View must have rank 1 to 4");
  constexpr bool versioned = requires(Managed m) { m.version.major; };
  constexpr bool is_const = std::is_const_v<typename V::value_type>;
  static_assert(versioned || !is_const, "schatten: only DLPack's versioned form can say that memory is read-only");
  using Export = detail::DlpackExport<Managed, V>;
  auto* const made = new Export(view);
  Managed& managed = made->managed;
  auto& t = managed.dl_tensor;
  const bool host = bool(Kokkos::SpaceAccessibility<Kokkos::HostSpace, typename V::memory_space>::accessible);
  t.data = const_cast<E*>(view.data());
  t.device.device_type = static_cast<decltype(t.device.device_type)>(host ? 1 : dlpack::kokkos_device);
  t.device.device_id = device_id;
  t.ndim = view_rank<V>;
  t.dtype.code = element_type_of<E> == ElementType::bfloat16 ? 4 : 2;
  t.dtype.bits = std::uint8_t(8 * sizeof(E));
  t.dtype.lanes = 1;
  for (int d = 0; d < view_rank<V>; ++d) {
    made->shape[d] = static_cast<std::int64_t>(view.extent(std::size_t(d)));
    made->strides[d] = static_cast<std::int64_t>(view.stride(std::size_t(d)));
  }
  t.shape = made->shape;
  t.strides = made->strides;
  if constexpr (versioned) {
    managed.version.major = 1;
    managed.flags = is_const ? 1 : 0;
  }
  managed.manager_ctx = made;
  managed.deleter = [](Managed* self) { delete static_cast<Export*>(self->manager_ctx); };
  return &managed;
}

}  // namespace schatten
