// SPDX-License-Identifier: BSD-3-Clause
// The definitions of the functions of c_api.h, for one source of a program, which defines SCHATTEN_C_API_HERE before it
// includes this. The CMake target schatten::c_api is that source as a shared library. A program that needs few rules
// compiles faster with SCHATTEN_C_API_RULES, a list: schatten::HTMuon, schatten::AdamW. SCHATTEN_C_API_BACKEND: another
// backend than the default one.
#pragma once

#include <schatten/interop/c_api.h>

#if defined(SCHATTEN_C_API_HERE)

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/interop/host_kokkos.hpp>
#include <schatten/interop/tensor.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#ifndef SCHATTEN_C_API_RULES
#define SCHATTEN_C_API_RULES                                                                                       \
  schatten::Adam, schatten::AdamMini, schatten::AdaMuon, schatten::AdamW, schatten::AdEMAMix, schatten::Aurora,    \
      schatten::CautiousAdamW, schatten::CautiousLion, schatten::CautiousMuon, schatten::COSMOS, schatten::GaLore, \
      schatten::HTMuon, schatten::Lion, schatten::LionMuon, schatten::MARS, schatten::MARSLion, schatten::MARSM,   \
      schatten::Muon, schatten::MuonEq, schatten::NewtonMuon, schatten::NorMuon, schatten::RMNP, schatten::Scion,  \
      schatten::SGD, schatten::SOAP, schatten::SophiaG, schatten::SPlus
#endif

namespace schatten::c_api {

using Exec = Kokkos::DefaultHostExecutionSpace;
#if defined(SCHATTEN_C_API_BACKEND)
using FloatOptimizer = Optimizer<float, Exec, SCHATTEN_C_API_BACKEND>;
#else
using FloatOptimizer = Optimizer<float, Exec>;
#endif

/// What a handle stands for.
struct Instance {
  FloatOptimizer optimizer;
  std::vector<GroupId> groups;
};

/// What the calls of a process share.
struct Library {
  std::mutex mutex;
  std::map<schatten_optimizer, std::unique_ptr<Instance>> instances;
  schatten_optimizer next = 1;
  bool started_kokkos = false, ended = false;
  std::thread::id thread{};  ///< the one that Kokkos knows
};

/// Never destroyed: at the end of a process Kokkos may be gone already.
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

/// f(), with its exception as a status.
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

inline TensorRef tensor_of(const schatten_tensor& t, ElementType type, std::string_view function,
                           const std::string& argument) {
  TensorRef tensor = contiguous_tensor(t.data, type, shape_of(t.rank, t.shape, function, argument + "->"), function,
                                       argument + "->shape");
  for (std::size_t d = 0; t.stride != nullptr && d < t.rank; ++d) tensor.stride[d] = t.stride[d];
  require(t.data != nullptr || tensor.size() == 0, function, argument + "->data", "null", "must not be null");
  return tensor;
}

/// Entry k of a table, at `offset` of its buffer.
inline TensorRef tensor_of(const schatten_buffer& buffer, ElementType type, const schatten_entry& entry,
                           std::size_t offset, std::string_view function, const std::string& entry_name,
                           const char* offset_name) {
  TensorRef tensor = contiguous_tensor(nullptr, type, shape_of(entry.rank, entry.shape, function, entry_name + "."),
                                       function, entry_name + ".shape");
  require(offset <= buffer.size && tensor.size() <= buffer.size - offset, function, entry_name + "." + offset_name,
          offset,
          "must leave room for " + std::to_string(tensor.size()) + " elements in a buffer of " +
              std::to_string(buffer.size));
  tensor.data = static_cast<char*>(buffer.data) + offset * size_of(type);
  return tensor;
}

/// Throws for two entries that share elements, naming the one that comes later in the table.
inline void require_apart(const schatten_entry* table, std::vector<std::size_t> order,
                          const std::vector<TensorRef>& tensors, const char* offset_name, std::string_view function) {
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return tensors[a].data < tensors[b].data; });
  for (std::size_t k = 1; k < order.size(); ++k) {
    const TensorRef &before = tensors[order[k - 1]], &after = tensors[order[k]];
    const char* const end = static_cast<char*>(before.data) + before.size() * size_of(before.type);
    const std::size_t later = (std::max)(order[k - 1], order[k]), other = (std::min)(order[k - 1], order[k]);
    require(
        end <= after.data || after.size() == 0, function, "table[" + std::to_string(later) + "]." + offset_name,
        offset_name == std::string_view("weight_offset") ? table[later].weight_offset : table[later].gradient_offset,
        "must not overlap table[" + std::to_string(other) + "]");
  }
}

// ---- parameters -------------------------------------------------------------------------------------------------------

/// Registers one parameter or throws and changes nothing.
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
  require(weights.data != nullptr || weights.size == 0, function, "weights->data", "null", "must not be null");
  require(gradients.data != nullptr || gradients.size == 0, function, "gradients->data", "null", "must not be null");
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

// ---- rules --------------------------------------------------------------------------------------------------------------

template <class... Rules>
struct RuleList {};

template <class R>
bool add_group_if(Instance& i, std::string_view rule, const schatten_number* numbers, std::size_t count,
                  std::string_view function) {
  if (rule != R::name) return false;
  R made{};
  for (std::size_t k = 0; k < count; ++k) {
    not_null(numbers[k].name, function, "numbers[" + std::to_string(k) + "].name");
    optim::set_field(made, numbers[k].name, numbers[k].value, function, optim::Fixed::settable);
  }
  i.groups.push_back(i.optimizer.add_group(made));
  return true;
}

template <class... Rules>
void add_group(RuleList<Rules...>, Instance& i, std::string_view rule, const schatten_number* numbers,
               std::size_t count, std::string_view function) {
  std::string words = "must be one of";
  ((words += ' ', words += Rules::name), ...);
  i.groups.reserve(i.groups.size() + 1);
  require((add_group_if<Rules>(i, rule, numbers, count, function) || ...), function, "rule", rule, words);
}

template <class... Rules>
const char* rule_name(RuleList<Rules...>, std::size_t index) {
  static constexpr const char* names[] = {Rules::name.data()..., nullptr};
  return index < sizeof...(Rules) ? names[index] : nullptr;
}

using AllRules = RuleList<SCHATTEN_C_API_RULES>;

}  // namespace schatten::c_api

extern "C" {

const char* schatten_last_error(void) { return schatten::c_api::last_error().c_str(); }

schatten_status schatten_initialize(int threads) {
  return schatten::c_api::guarded([&] { schatten::c_api::start(threads, "schatten_initialize"); });
}

schatten_status schatten_finalize(void) {
  using namespace schatten::c_api;
  return guarded([&] {
    Library& all = library();
    all.instances.clear();
    if (!all.started_kokkos) return;
    all.started_kokkos = false;
    all.ended = true;
    Kokkos::finalize();
  });
}

const char* schatten_rule_name(size_t index) { return schatten::c_api::rule_name(schatten::c_api::AllRules(), index); }

schatten_status schatten_create(schatten_optimizer* optimizer) {
  using namespace schatten::c_api;
  return guarded([&] {
    not_null(optimizer, "schatten_create", "optimizer");
    start(0, "schatten_create");
    Library& all = library();
    all.instances.emplace(all.next, std::make_unique<Instance>());
    *optimizer = all.next++;
  });
}

schatten_status schatten_destroy(schatten_optimizer optimizer) {
  using namespace schatten::c_api;
  return guarded([&] {
    instance(optimizer, "schatten_destroy");
    library().instances.erase(optimizer);
  });
}

schatten_status schatten_add_group(schatten_optimizer optimizer, const char* rule, const schatten_number* numbers,
                                   size_t count, int* group) {
  using namespace schatten::c_api;
  constexpr const char* function = "schatten_add_group";
  return guarded([&] {
    Instance& i = instance(optimizer, function);
    not_null(rule, function, "rule");
    not_null(group, function, "group");
    if (count > 0) not_null(numbers, function, "numbers");
    add_group(AllRules(), i, rule, numbers, count, function);
    *group = int(i.groups.size()) - 1;
  });
}

schatten_status schatten_set(schatten_optimizer optimizer, int group, const char* name, double value) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_set");
    const schatten::GroupId id = group_of(i, group, "schatten_set");
    i.optimizer.set(id, not_null(name, "schatten_set", "name"), value);
  });
}

schatten_status schatten_get(schatten_optimizer optimizer, int group, const char* name, double* value) {
  using namespace schatten::c_api;
  return guarded([&] {
    const Instance& i = instance(optimizer, "schatten_get");
    const schatten::GroupId id = group_of(i, group, "schatten_get");
    not_null(value, "schatten_get", "value");
    *value = i.optimizer.get(id, not_null(name, "schatten_get", "name"));
  });
}

schatten_status schatten_add(schatten_optimizer optimizer, int group, const char* name, const schatten_tensor* weight,
                             const schatten_tensor* gradient, size_t row_blocks) {
  using namespace schatten::c_api;
  constexpr const char* function = "schatten_add";
  return guarded([&] {
    Instance& i = instance(optimizer, function);
    const schatten::GroupId id = group_of(i, group, function);
    not_null(name, function, "name");
    not_null(weight, function, "weight");
    const schatten::TensorRef w =
        tensor_of(*weight, weight_type(weight->type, function, "weight->type"), function, "weight");
    if (gradient == nullptr) return add(i, id, name, w, nullptr, row_blocks, function);
    const schatten::TensorRef g =
        tensor_of(*gradient, type_of(gradient->type, function, "gradient->type"), function, "gradient");
    add(i, id, name, w, &g, row_blocks, function);
  });
}

schatten_status schatten_set_gradient(schatten_optimizer optimizer, const char* name, const schatten_tensor* gradient) {
  using namespace schatten::c_api;
  constexpr const char* function = "schatten_set_gradient";
  return guarded([&] {
    Instance& i = instance(optimizer, function);
    not_null(name, function, "name");
    not_null(gradient, function, "gradient");
    const schatten::TensorRef g =
        tensor_of(*gradient, type_of(gradient->type, function, "gradient->type"), function, "gradient");
    schatten::with_view(g, function, "gradient", [&](const auto& view) { i.optimizer.set_gradient(name, view); });
  });
}

schatten_status schatten_include(schatten_optimizer optimizer, const char* name, int included) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_include");
    not_null(name, "schatten_include", "name");
    if (included != 0) {
      i.optimizer.resume(name);
    } else {
      i.optimizer.pause(name);
    }
  });
}

schatten_status schatten_remove(schatten_optimizer optimizer, const char* name) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_remove");
    i.optimizer.remove(not_null(name, "schatten_remove", "name"));
  });
}

schatten_status schatten_add_table(schatten_optimizer optimizer, const schatten_buffer* weights,
                                   const schatten_buffer* gradients, const schatten_entry* table, size_t count) {
  using namespace schatten::c_api;
  constexpr const char* function = "schatten_add_table";
  return guarded([&] {
    Instance& i = instance(optimizer, function);
    not_null(weights, function, "weights");
    not_null(gradients, function, "gradients");
    not_null(table, function, "table");
    add_table(i, *weights, *gradients, table, count, function);
  });
}

schatten_status schatten_step(schatten_optimizer optimizer) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_step");
    const Exec exec;
    i.optimizer.step(exec);
    exec.fence();  // fences: documented
  });
}

schatten_status schatten_skipped_steps(schatten_optimizer optimizer, long long* count) {
  using namespace schatten::c_api;
  return guarded([&] {
    const Instance& i = instance(optimizer, "schatten_skipped_steps");
    not_null(count, "schatten_skipped_steps", "count");
    *count = i.optimizer.skipped_steps(Exec());
  });
}

schatten_status schatten_save(schatten_optimizer optimizer, const char* path) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_save");
    schatten::checkpoint::save(Exec(), i.optimizer, not_null(path, "schatten_save", "path"));
  });
}

schatten_status schatten_load(schatten_optimizer optimizer, const char* path) {
  using namespace schatten::c_api;
  return guarded([&] {
    Instance& i = instance(optimizer, "schatten_load");
    schatten::checkpoint::load(Exec(), i.optimizer, not_null(path, "schatten_load", "path"));
  });
}

}  // extern "C"

#endif
