// SPDX-License-Identifier: BSD-3-Clause
// From the second step on: no Kokkos allocation, no fence, and every label begins with "schatten::".

#include "support/errors.hpp"
#include "support/fence_events.hpp"
#include "support/instantiations.hpp"
#include "support/tool_events.hpp"
#include "support/typed.hpp"
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <vector>

// ---- calls of operator new in this program --------------------------------------------------------------------

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SCHATTEN_TEST_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SCHATTEN_TEST_SANITIZED
#endif
#if defined(SCHATTEN_TEST_SANITIZED) || defined(__CUDACC__)
#define SCHATTEN_TEST_FOREIGN_NEW
#endif

namespace {
std::atomic<long long> heap_calls{0};
std::atomic<std::size_t> largest_heap_call{0};
}  // namespace

// A sanitizer brings its own, and wants them all or none; nvcc would compile ours for the device as well.
#if !defined(SCHATTEN_TEST_FOREIGN_NEW)
// Not inlined: the compiler would see new and free as a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++heap_calls;
  std::size_t largest = largest_heap_call;
  while (largest < size && !largest_heap_call.compare_exchange_weak(largest, size)) {
  }
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace {

using namespace schatten;
using namespace schatten::test;

/// An Optimizer with every algorithm, map and scale, and parameters of every rank.
template <class T, class Exec, class Backend>
class Everything {
 public:
  explicit Everything(const OptimizerOptions& options = {}) : optimizer(options) {
    for (const ScaleMode scale : {ScaleMode::original, ScaleMode::unit_rms, ScaleMode::dual_norm}) {
      matrices.push_back(optimizer.add_group(HTMuonOptions{.scale = scale}));
      if (linalg::multiplies_reduced_floats<Backend>) continue;  // cuSOLVER's decompositions wait for their status
      matrices.push_back(optimizer.add_group(HTMuonOptions{.scale = scale, .map = {.method = SpectralMethod::svd}}));
    }
    quintics = optimizer.add_group(MuonOptions{});
    elements.push_back(optimizer.add_group(AdamWOptions{}));
    elements.push_back(optimizer.add_group(SGDOptions{}));
    for (const std::vector<GroupId>& groups : {matrices, std::vector{quintics}, elements}) {
      for (const GroupId group : groups) {
        add<T**, Kokkos::LayoutRight>(group, 12, 7);
        add<T**, Kokkos::LayoutLeft>(group, 12, 7);
        add<T***, Kokkos::LayoutRight>(group, 3, 5, 8);
        add<T****, Kokkos::LayoutRight>(group, 4, 3, 2, 2);
      }
    }
    add<T*, Kokkos::LayoutRight>(elements[0], 9);
    add<T*, Kokkos::LayoutRight>(elements[1], 9);
  }

  Optimizer<T, Exec, Backend> optimizer;
  std::vector<GroupId> matrices, elements;
  GroupId quintics{};
  std::vector<T*> gradients;

 private:
  template <class D, class Layout, class... Extents>
  void add(GroupId group, Extents... extents) {
    const Kokkos::View<D, Layout, TestSpace> w("schatten::test::w", std::size_t(extents)...);
    const Kokkos::View<D, Layout, TestSpace> g("schatten::test::g", std::size_t(extents)...);
    const Matrix values = gaussian(g.size(), 1, unsigned(gradients.size()));
    for (std::size_t k = 0; k < g.size(); ++k) g.data()[k] = T(values(Eigen::Index(k)));
    optimizer.add(group, std::to_string(gradients.size()), w, g);
    gradients.push_back(g.data());
  }
};

/// Three steps as a training program takes them: schedules, and a gradient that is not finite. Before the gradient is
/// put right again, wait() may wait for the step that reads it; without, a device may find either.
template <class E, class Exec, class Wait>
void take_steps(E& everything, const Exec& exec, const Wait& wait) {
  for (std::size_t step = 0; step < 3; ++step) {
    for (const GroupId group : everything.matrices) {
      everything.optimizer.set_lr(group, 0.01 / double(step + 1));
      everything.optimizer.set_power(group, 0.125 + 0.01 * double(step));
    }
    auto& entry = everything.gradients[step * 7 % everything.gradients.size()][0];
    const auto before = entry;
    if (step == 1) entry = std::numeric_limits<std::remove_cvref_t<decltype(entry)>>::quiet_NaN();
    everything.optimizer.step(exec);
    wait();
    entry = before;
  }
}

std::string listed(const std::vector<std::string>& labels) {
  std::string all;
  for (const std::string& label : labels) all += "\n  " + label;
  return all;
}

using Cases = std::tuple<Case<float, ThreadedExec, linalg::HostBackend>, Case<double, SerialExec, linalg::HostBackend>,
                         Case<float, SerialExec, PortableBackend>
#if defined(SCHATTEN_ENABLE_CUDA)
                         ,
                         Case<float, DeviceExec, CudaBackend>
#endif
                         >;

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("a steady step allocates no Kokkos memory and labels what it does", Case, labels) {
  const typename Case::Exec exec;
  Everything<typename Case::Scalar, typename Case::Exec, typename Case::Backend> everything;
  {
    const ToolEvents first;
    everything.optimizer.step(exec);
    exec.fence();
    INFO(listed(first.allocations()));
    CHECK(first.allocations().size() > 0);  // the recording works
    CHECK(foreign_labels(first.allocations()).empty());
  }
  const ToolEvents steady;
  take_steps(everything, exec, [&] { exec.fence(); });
  CHECK_MESSAGE(steady.allocations().empty(), listed(steady.allocations()));
  CHECK(steady.kernels().size() > 100);
  CHECK_MESSAGE(foreign_labels(steady.kernels()).empty(), listed(foreign_labels(steady.kernels())));
  CHECK(steady.regions().size() > 3);
  CHECK_MESSAGE(foreign_labels(steady.regions()).empty(), listed(foreign_labels(steady.regions())));
}
TEST_CASE_TEMPLATE_APPLY(labels, Cases);

TEST_CASE_TEMPLATE_DEFINE("a steady step does not fence", Case, fences) {
  const typename Case::Exec exec;
  {
    const FenceEvents one;
    Kokkos::fence();
    REQUIRE(one.fences().empty() != fences_are_reported);
  }
  if (!fences_are_reported) MESSAGE("this Kokkos reports no fences; a scan of the sources stands in for this test");
  Everything<typename Case::Scalar, typename Case::Exec, typename Case::Backend> everything;
  everything.optimizer.step(exec);
  const FenceEvents steady;
  take_steps(everything, exec, [] {});
  CHECK_MESSAGE(steady.fences().empty(), listed(steady.fences()));
}
TEST_CASE_TEMPLATE_APPLY(fences, Cases);

TEST_CASE("NonFinite::raise allocates nothing in a steady step and fences once") {
  const SerialExec exec;
  Everything<float, SerialExec, PortableBackend> everything(OptimizerOptions{.non_finite = NonFinite::raise});
  everything.optimizer.step(exec);
  {
    const ToolEvents steady;
    everything.optimizer.step(exec);
    CHECK_MESSAGE(steady.allocations().empty(), listed(steady.allocations()));
  }
  {
    const FenceEvents steady;
    everything.optimizer.step(exec);
    CHECK_MESSAGE(steady.fences().size() == (fences_are_reported ? 1 : 0), listed(steady.fences()));
  }
  everything.gradients[3][2] = std::numeric_limits<float>::infinity();
  const ToolEvents raised;
  CHECK(contains(message_of<NumericalError>([&] { everything.optimizer.step(exec); }), "gradient of 3 "));
  CHECK_MESSAGE(raised.allocations().empty(), listed(raised.allocations()));
}

TEST_CASE("every allocation of an Optimizer's life is labelled") {
  const Kokkos::DefaultHostExecutionSpace exec;
  const ToolEvents events;
  {
    Everything<double, Kokkos::DefaultHostExecutionSpace, linalg::HostBackend> everything;
    take_steps(everything, exec, [&] { exec.fence(); });
    CHECK(everything.optimizer.skipped_steps(exec) > 0);
    CHECK(everything.optimizer.skipped_steps(exec, "0") >= 0);
  }
  CHECK_MESSAGE(foreign_labels(events.allocations()).empty(), listed(foreign_labels(events.allocations())));
  CHECK_MESSAGE(foreign_labels(events.kernels()).empty(), listed(foreign_labels(events.kernels())));
}

TEST_CASE("a steady step takes from the heap the labels of its kernels and nothing else") {
  // A label longer than 15 characters is a std::string on the heap, as Kokkos wants it. Eigen's decompositions (not
  // used here) take their work memory from the heap, too.
  const SerialExec exec;
  Everything<float, SerialExec, PortableBackend> everything;
  everything.optimizer.step(exec);
  std::size_t kernels = 0;
  {
    const ToolEvents events;
    everything.optimizer.step(exec);
    kernels = events.kernels().size();
  }
  const long long before = heap_calls;
  largest_heap_call = 0;
  everything.optimizer.step(exec);
  const long long calls = heap_calls - before;
  const std::size_t largest = largest_heap_call;
#if !defined(SCHATTEN_TEST_FOREIGN_NEW)
  CHECK(calls > 0);
#endif
  MESSAGE(calls << " calls of operator new in " << kernels << " kernels, the largest of " << largest << " bytes");
  CHECK(calls <= static_cast<long long>(kernels));
  CHECK(largest < 64);
}

TEST_CASE("checks that hold take nothing from the heap") {
  const Kokkos::View<double***, TestSpace> a("schatten::test::a", 2, 5, 3), b("schatten::test::b", 2, 5, 3);
  const auto batch = as_batch<SerialExec>(a);
  const std::string name = "a name that does not fit into the string itself";
  const long long before = heap_calls;
  require_memory(strided_array(a), "f", {"w of ", name});
  require_shape(batch, 2, 5, 3, "a function with a long name", "an argument with a long name");
  require_own_elements(batch, "a function with a long name", "an argument with a long name");
  require(!overlap(batch, as_batch<SerialExec>(b)), "f", optim::argument_of("w", name), shape_of(batch),
          {"must not overlap the parameter ", name});
  CHECK(heap_calls == before);
}
