// SPDX-License-Identifier: BSD-3-Clause
// The definitions of the functions of c_api.h. One source of a program includes this header and defines
// SCHATTEN_C_API_HERE before. The CMake target schatten::c_api is such a source as a shared library. A program that
// needs few rules compiles faster with SCHATTEN_C_API_RULES, a list: schatten::HTMuon, schatten::AdamW.
// SCHATTEN_C_API_BACKEND: another backend than the default one.
#pragma once

#include <schatten/interop/c_api.h>

#if defined(SCHATTEN_C_API_HERE)

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/interop/c_api_arguments.hpp>
#include <schatten/optim/rules.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace schatten::c_api {

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

template <class... R>
void add_group(RuleList<R...>, Instance& i, std::string_view rule, const schatten_number* numbers, std::size_t count,
               std::string_view function) {
  std::string words = "must be one of";
  ((words += ' ', words += R::name), ...);
  i.groups.reserve(i.groups.size() + 1);
  require((add_group_if<R>(i, rule, numbers, count, function) || ...), function, "rule", rule, words);
}

template <class... R>
const char* rule_name(RuleList<R...>, std::size_t index) {
  static constexpr const char* names[] = {R::name.data()..., nullptr};
  return index < sizeof...(R) ? names[index] : nullptr;
}

#if defined(SCHATTEN_C_API_RULES)
using Rules = RuleList<SCHATTEN_C_API_RULES>;
#else
using Rules = AllRules;
#endif

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
    if (!Kokkos::is_initialized()) {  // the program has finalized it: memory of Views cannot be freed any more
      for (auto& [handle, instance] : all.instances) (void)instance.release();
    }
    all.instances.clear();
    if (!all.started_kokkos) return;
    all.started_kokkos = false;
    all.ended = true;
    if (Kokkos::is_initialized()) Kokkos::finalize();
  });
}

const char* schatten_rule_name(size_t index) { return schatten::c_api::rule_name(schatten::c_api::Rules(), index); }

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
    add_group(Rules(), i, rule, numbers, count, function);
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

schatten_status schatten_observe(schatten_optimizer optimizer, const char* name, const schatten_tensor* x) {
  using namespace schatten::c_api;
  constexpr const char* function = "schatten_observe";
  return guarded([&] {
    Instance& i = instance(optimizer, function);
    not_null(name, function, "name");
    not_null(x, function, "x");
    const schatten::TensorRef tensor = tensor_of(*x, type_of(x->type, function, "x->type"), function, "x");
    const Exec exec;
    schatten::with_view(tensor, function, "x", [&](const auto& view) { i.optimizer.observe(exec, name, view); });
    exec.fence();  // fences: documented
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
