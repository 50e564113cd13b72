// SPDX-License-Identifier: BSD-3-Clause
// Parts that the functions of c_api.h share: optimizers by handle, exceptions as a status, memory as checked tensors.
// Only c_api.hpp includes this header.
#pragma once

#include <schatten/checkpoint/file_error.hpp>
#include <schatten/interop/c_api.h>
#include <schatten/interop/host_kokkos.hpp>
#include <schatten/interop/tensor.hpp>
#include <schatten/optim/optimizer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace schatten::c_api {

using Exec = Kokkos::DefaultHostExecutionSpace;
#if defined(SCHATTEN_C_API_BACKEND)
using FloatOptimizer = Optimizer<float, Exec, SCHATTEN_C_API_BACKEND>;
#else
using FloatOptimizer = Optimizer<float, Exec>;
#endif

/// The object of a handle.
struct Instance {
  FloatOptimizer optimizer;
  std::vector<GroupId> groups;
};

/// The data that all calls of a process share.
struct Library {
  std::mutex mutex;
  std::map<schatten_optimizer, std::unique_ptr<Instance>> instances;
  schatten_optimizer next = 1;
  bool started_kokkos = false, ended = false;
  std::thread::id thread{};  ///< the thread of the first call that needs Kokkos
};

/// Never destroyed: at the end of a process Kokkos may be finalized already.
inline Library& library() {
  static Library* const only = new Library;
  return *only;
}

inline std::string& last_error() {
  thread_local std::string text;
  return text;
}

inline schatten_status failed(schatten_status status, const char* why) noexcept {
  try {
    last_error() = why;
  } catch (...) {
    last_error().clear();
  }
  return status;
}

/// Calls f() and returns its exception as a status.
template <class F>
schatten_status guarded(const F& f) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(library().mutex);
    f();
    return SCHATTEN_OK;
  } catch (const std::bad_alloc&) {
    return failed(SCHATTEN_OUT_OF_MEMORY, "schatten: out of memory");
  } catch (const InvalidArgument& error) {
    return failed(SCHATTEN_INVALID_ARGUMENT, error.what());
  } catch (const checkpoint::FileError& error) {
    return failed(SCHATTEN_FILE_ERROR, error.what());
  } catch (const NumericalError& error) {
    return failed(SCHATTEN_NUMERICAL_ERROR, error.what());
  } catch (const std::exception& error) {
    return failed(SCHATTEN_INTERNAL_ERROR, error.what());
  } catch (...) {
    return failed(SCHATTEN_INTERNAL_ERROR, "schatten: an exception that is none of the standard library's");
  }
}

// ---- arguments ------------------------------------------------------------------------------------------------------

inline void start(int threads, std::string_view function) {
  Library& all = library();
  require(!all.ended, function, "schatten_finalize", "called", "must not have been called before");
  require(all.thread == std::thread::id() || Kokkos::is_initialized(), function, "Kokkos", "finalized",
          "must be finalized by schatten_finalize, or after it");
  if (start_kokkos(threads)) all.started_kokkos = true;
  if (all.thread == std::thread::id()) all.thread = std::this_thread::get_id();
#if KOKKOS_VERSION < 40000
  require(all.thread == std::this_thread::get_id(), function, "thread", std::this_thread::get_id(),
          "must be the thread of the first call, with Kokkos before version 4");
#endif
}

template <class T>
T* not_null(T* pointer, std::string_view function, std::string_view argument) {
  require(pointer != nullptr, function, argument, "null", "must not be null");
  return pointer;
}

inline Instance& instance(schatten_optimizer handle, std::string_view function) {
  const auto found = library().instances.find(handle);
  require(found != library().instances.end(), function, "optimizer", handle,
          "must be open: schatten_create returned it and schatten_destroy has not closed it");
  start(0, function);
  return *found->second;
}

inline GroupId group_of(const Instance& i, int group, std::string_view function, std::string_view argument = "group") {
  require(group >= 0 && std::size_t(group) < i.groups.size(), function, argument, group,
          "must be a group that schatten_add_group returned");
  return i.groups[std::size_t(group)];
}

inline ElementType type_of(int type, std::string_view function, std::string_view argument) {
  require(type >= 0 && type <= 3, function, argument, type, "must be one of schatten_type");
  return static_cast<ElementType>(type);
}

inline ElementType weight_type(int type, std::string_view function, std::string_view argument) {
  const ElementType known = type_of(type, function, argument);
  require(known != ElementType::float64, function, argument, "SCHATTEN_FLOAT64",
          "must have no more digits than float, in which the optimizer computes");
  return known;
}

inline std::vector<std::size_t> shape_of(std::size_t rank, const std::size_t* shape, std::string_view function,
                                         const std::string& argument) {
  require(rank >= 1 && rank <= 4, function, argument + "rank", rank, "must be 1 to 4");
  return {shape, shape + rank};
}

/// Throws InvalidArgument for a null pointer and for a pointer without the alignment of the type.
inline void require_data(const void* data, bool empty, ElementType type, std::string_view function,
                         const std::string& argument) {
  require(data != nullptr || empty, function, argument, "null", "must not be null");
  require(empty || reinterpret_cast<std::uintptr_t>(data) % size_of(type) == 0, function, argument, data,
          "must be aligned as its type is");
}

inline void require_buffer(const schatten_buffer& b, ElementType type, std::string_view function,
                           const std::string& argument) {
  require_data(b.data, b.size == 0, type, function, argument + "->data");
  require(b.size <= (std::numeric_limits<std::size_t>::max)() / 16, function, argument + "->size", b.size,
          "must be fewer elements than there are addresses");
}

inline TensorRef tensor_of(const schatten_tensor& t, ElementType type, std::string_view function,
                           const std::string& argument) {
  TensorRef tensor = contiguous_tensor(t.data, type, shape_of(t.rank, t.shape, function, argument + "->"), function,
                                       argument + "->shape");
  for (std::size_t d = 0; t.stride != nullptr && d < t.rank; ++d) tensor.stride[d] = t.stride[d];
  require_data(t.data, tensor.size() == 0, type, function, argument + "->data");
  return tensor;
}

/// Returns entry k of a table as a tensor, at `offset` of its buffer.
inline TensorRef tensor_of(const schatten_buffer& buffer, ElementType type, const schatten_entry& entry,
                           std::size_t offset, std::string_view function, const std::string& entry_name,
                           const char* offset_name) {
  TensorRef tensor = contiguous_tensor(nullptr, type, shape_of(entry.rank, entry.shape, function, entry_name + "."),
                                       function, entry_name + ".shape");
  require(offset <= buffer.size && tensor.size() <= buffer.size - offset, function, entry_name + "." + offset_name,
          offset, {"must leave room for ", tensor.size(), " elements in a buffer of ", buffer.size});
  tensor.data = static_cast<char*>(buffer.data) + offset * size_of(type);
  return tensor;
}

/// Throws InvalidArgument for two entries that share elements, with the name of the later one.
inline void require_apart(const schatten_entry* table, std::vector<std::size_t> order,
                          const std::vector<TensorRef>& tensors, const char* offset_name, std::string_view function) {
  std::erase_if(order, [&](auto k) { return tensors[k].size() == 0; });
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return tensors[a].data < tensors[b].data; });
  for (std::size_t k = 1; k < order.size(); ++k) {
    const TensorRef &before = tensors[order[k - 1]], &after = tensors[order[k]];
    const char* const end = static_cast<char*>(before.data) + before.size() * size_of(before.type);
    const std::size_t later = (std::max)(order[k - 1], order[k]), other = (std::min)(order[k - 1], order[k]);
    require(
        end <= after.data, function, {"table[", later, "].", offset_name},
        offset_name == std::string_view("weight_offset") ? table[later].weight_offset : table[later].gradient_offset,
        {"must not overlap table[", other, "]"});
  }
}

// ---- parameters -----------------------------------------------------------------------------------------------------

/// Registers one parameter. If it throws, nothing has changed.
inline void add(Instance& i, GroupId group, const std::string& name, const TensorRef& weight, const TensorRef* gradient,
                std::size_t row_blocks, std::string_view function) {
  ParameterOptions options;
  options.row_blocks = std::max<std::size_t>(row_blocks, 1);
  with_view(weight, function, "weight", [&](const auto& w) {
    if constexpr (sizeof(scalar_of<decltype(w)>) <= sizeof(float)) i.optimizer.add(group, name, w, options);
  });
  if (gradient == nullptr) return;
  try {
    with_view(*gradient, function, "gradient", [&](const auto& g) { i.optimizer.set_gradient(name, g); });
  } catch (...) {
    i.optimizer.remove(name);
    throw;
  }
}

inline void add_table(Instance& i, const schatten_buffer& weights, const schatten_buffer& gradients,
                      const schatten_entry* table, std::size_t count, std::string_view function) {
  const ElementType w_type = weight_type(weights.type, function, "weights->type");
  const ElementType g_type = type_of(gradients.type, function, "gradients->type");
  require_buffer(weights, w_type, function, "weights");
  require_buffer(gradients, g_type, function, "gradients");
  std::vector<TensorRef> w, g;
  std::vector<std::size_t> order;
  for (std::size_t k = 0; k < count; ++k) {
    const std::string entry = "table[" + std::to_string(k) + "]";
    not_null(table[k].name, function, entry + ".name");
    group_of(i, table[k].group, function, entry + ".group");
    w.push_back(tensor_of(weights, w_type, table[k], table[k].weight_offset, function, entry, "weight_offset"));
    g.push_back(tensor_of(gradients, g_type, table[k], table[k].gradient_offset, function, entry, "gradient_offset"));
    order.push_back(k);
  }
  require_apart(table, order, w, "weight_offset", function);
  require_apart(table, order, g, "gradient_offset", function);
  std::size_t added = 0;
  try {
    for (; added < count; ++added) {
      add(i, i.groups[std::size_t(table[added].group)], table[added].name, w[added], &g[added], table[added].row_blocks,
          function);
    }
  } catch (...) {
    while (added > 0) i.optimizer.remove(table[--added].name);
    throw;
  }
}

}  // namespace schatten::c_api
