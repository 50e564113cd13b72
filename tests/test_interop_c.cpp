// SPDX-License-Identifier: BSD-3-Clause
// The memory of other programs: the C interface, DLPack, spans and mdspans. What is wrong is named, and nothing has
// changed.
// labels: portable

#include "support/errors.hpp"
#include <schatten/interop/c_api.h>
#include <schatten/interop/dlpack.hpp>
#include <schatten/interop/mdspan.hpp>
#include <schatten/interop/span.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules/adamw.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Two layers of a stacked array [2, 6, 2] and a vector, in one array of weights and one of gradients.
struct Model {
  std::vector<float> weights = std::vector<float>(40, 0.5F);
  std::vector<std::uint16_t> gradients = std::vector<std::uint16_t>(36), gradients_before{};
  std::array<schatten_entry, 2> table{};
  schatten_optimizer optimizer = 0;
  int matrices = -1, vectors = -1;

  explicit Model(double lr = 0.1) {
    for (std::size_t k = 0; k < gradients.size(); ++k) gradients[k] = BFloat16(float(k % 7) - 2.5F).bits;
    gradients_before = gradients;
    REQUIRE(schatten_create(&optimizer) == SCHATTEN_OK);
    const schatten_number numbers[] = {{"lr", lr}, {"power", 0.125}, {"weight_decay", 0.0}};
    REQUIRE(schatten_add_group(optimizer, "htmuon", numbers, 3, &matrices) == SCHATTEN_OK);
    REQUIRE(schatten_add_group(optimizer, "adamw", nullptr, 0, &vectors) == SCHATTEN_OK);
    table[0] = {.name = "qkv",
                .group = matrices,
                .rank = 3,
                .shape = {2, 6, 2},
                .weight_offset = 4,
                .gradient_offset = 0,
                .row_blocks = 3};
    table[1] = {.name = "bias",
                .group = vectors,
                .rank = 1,
                .shape = {8},
                .weight_offset = 32,
                .gradient_offset = 24,
                .row_blocks = 0};
  }
  ~Model() { schatten_destroy(optimizer); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] schatten_buffer weight_buffer() { return {weights.data(), weights.size(), SCHATTEN_FLOAT32}; }
  [[nodiscard]] schatten_buffer gradient_buffer() { return {gradients.data(), gradients.size(), SCHATTEN_BFLOAT16}; }
  schatten_status add() {
    const schatten_buffer w = weight_buffer(), g = gradient_buffer();
    return schatten_add_table(optimizer, &w, &g, table.data(), table.size());
  }
};

/// The call was refused, its message has these words, and no weight and no gradient has changed.
void check_refused(const Model& model, schatten_status status, const std::string& words) {
  CHECK(status == SCHATTEN_INVALID_ARGUMENT);
  CHECK_MESSAGE(contains(schatten_last_error(), words), schatten_last_error());
  for (const float w : model.weights) CHECK(w == 0.5F);
  CHECK(model.gradients == model.gradients_before);
}

/// The members of std::mdspan that a View needs, column-major.
struct ColumnMajor {
  using element_type = const double;
  struct extents_type {
    using rank_type = unsigned char;
  };
  struct accessor_type {
    using reference = const double&;
  };
  const double* data;
  std::size_t rows, cols, row_stride = 1;
  bool strided = true;
  static constexpr std::size_t rank() { return 2; }
  [[nodiscard]] const double* data_handle() const { return data; }
  [[nodiscard]] std::size_t extent(unsigned char d) const { return d == 0 ? rows : cols; }
  [[nodiscard]] std::size_t stride(unsigned char d) const { return d == 0 ? row_stride : rows; }
  [[nodiscard]] bool is_strided() const { return strided; }
};

dlpack::Tensor dlpack_matrix(float* data, std::int64_t* shape, std::int64_t* strides) {
  return {data, {1, 0}, 2, {2, 32, 1}, shape, strides, 0};
}

}  // namespace

TEST_CASE("a table of a flat array steps, and what lies between the entries stays") {
  Model model;
  REQUIRE_MESSAGE(model.add() == SCHATTEN_OK, schatten_last_error());
  REQUIRE_MESSAGE(schatten_step(model.optimizer) == SCHATTEN_OK, schatten_last_error());
  for (std::size_t k = 0; k < 40; ++k) {
    const bool between = k < 4 || (k >= 28 && k < 32);
    CHECK((model.weights[k] == 0.5F) == between);
  }
  long long skipped = -1;
  CHECK(schatten_skipped_steps(model.optimizer, &skipped) == SCHATTEN_OK);
  CHECK(skipped == 0);
}

TEST_CASE("weights of bfloat16 go through a float copy, over strides") {
  Model model(1e-4);
  std::vector<std::uint16_t> w(32, BFloat16(1.0F).bits);
  std::vector<float> g(16, 1.0F);
  const std::size_t strides[] = {1, 8};
  const schatten_tensor weight{w.data(), SCHATTEN_BFLOAT16, 2, {4, 4}, strides};
  const schatten_tensor gradient{g.data(), SCHATTEN_FLOAT32, 2, {4, 4}, nullptr};
  REQUIRE(schatten_add(model.optimizer, model.vectors, "w", &weight, &gradient, 1) == SCHATTEN_OK);
  REQUIRE(schatten_set(model.optimizer, model.vectors, "lr", 1e-4) == SCHATTEN_OK);
  // One step of 1e-4 is lost in bfloat16; a hundred are 1e-2.
  for (int k = 0; k < 100; ++k) REQUIRE(schatten_step(model.optimizer) == SCHATTEN_OK);
  for (std::size_t k = 0; k < 32; ++k) {
    const float value = float(std::bit_cast<BFloat16>(w[k]));
    CHECK(std::abs(value - (k % 8 < 4 ? 0.99F : 1.0F)) <= 0.004F);
  }
}

TEST_CASE("a run that is saved and loaded goes on with the same bits") {
  const std::string path = "test_interop_c.safetensors";
  Model whole, resumed;
  REQUIRE(whole.add() == SCHATTEN_OK);
  for (int k = 0; k < 3; ++k) REQUIRE(schatten_step(whole.optimizer) == SCHATTEN_OK);
  REQUIRE_MESSAGE(schatten_save(whole.optimizer, path.c_str()) == SCHATTEN_OK, schatten_last_error());
  for (int k = 0; k < 3; ++k) REQUIRE(schatten_step(whole.optimizer) == SCHATTEN_OK);
  REQUIRE(resumed.add() == SCHATTEN_OK);
  REQUIRE_MESSAGE(schatten_load(resumed.optimizer, path.c_str()) == SCHATTEN_OK, schatten_last_error());
  for (int k = 0; k < 3; ++k) REQUIRE(schatten_step(resumed.optimizer) == SCHATTEN_OK);
  CHECK(resumed.weights == whole.weights);
  std::remove(path.c_str());
  CHECK(schatten_load(resumed.optimizer, path.c_str()) == SCHATTEN_FILE_ERROR);
  CHECK(contains(schatten_last_error(), path));
}

TEST_CASE("numbers by name") {
  Model model;
  double value = 0;
  CHECK(schatten_get(model.optimizer, model.matrices, "power", &value) == SCHATTEN_OK);
  CHECK(value == 0.125);
  check_refused(model, schatten_set(model.optimizer, model.matrices, "lr", -1), "lr = -1");
  check_refused(model, schatten_set(model.optimizer, model.matrices, "beta9", 1), "name = beta9");
  check_refused(model, schatten_set(model.optimizer, 2, "lr", 1), "group = 2");
  int group = -1;
  const schatten_number fixed[] = {{"tolerance", 0.01}};
  CHECK(schatten_add_group(model.optimizer, "htmuon", fixed, 1, &group) == SCHATTEN_OK);
  CHECK(group == 2);
  check_refused(model, schatten_add_group(model.optimizer, "lbfgs", nullptr, 0, &group), "rule = lbfgs");
  check_refused(model, schatten_add_group(model.optimizer, "adamw", nullptr, 1, &group), "numbers = null");
  check_refused(model, schatten_add_group(model.optimizer, nullptr, nullptr, 0, &group), "rule = null");
  check_refused(model, schatten_add_group(model.optimizer, "adamw", nullptr, 0, nullptr), "group = null");
  for (const auto& [number, words] : {std::pair<schatten_number, const char*>({nullptr, 1.0}, "numbers[1].name = null"),
                                      {{"beta9", 1.0}, "name = beta9"},
                                      {{"beta1", 1.5}, "beta1 = 1.5"},
                                      {{"lr", std::nan("")}, "lr = nan"}}) {
    const schatten_number numbers[] = {{"weight_decay", 0.0}, number};
    check_refused(model, schatten_add_group(model.optimizer, "adamw", numbers, 2, &group), words);
  }
  CHECK(group == 2);                                                             // a refused call writes nothing
  check_refused(model, schatten_set(model.optimizer, 3, "lr", 1), "group = 3");  // and has left no group
  check_refused(model, schatten_set(model.optimizer, -1, "lr", 1), "group = -1");
  check_refused(model, schatten_set(model.optimizer, model.matrices, nullptr, 1), "name = null");
  check_refused(model, schatten_get(model.optimizer, model.matrices, "lr", nullptr), "value = null");
  check_refused(model, schatten_get(model.optimizer, model.matrices, "beta9", &value), "name = beta9");
  CHECK(value == 0.125);
  CHECK(schatten_get(model.optimizer, model.matrices, "lr", &value) == SCHATTEN_OK);
  CHECK(value == 0.1);
  CHECK(std::string(schatten_rule_name(0)) == "htmuon");
  CHECK(schatten_rule_name(4) == nullptr);
}

TEST_CASE("bad memory: the argument is named and nothing has changed") {
  Model model;
  const schatten_buffer w = model.weight_buffer(), g = model.gradient_buffer();
  const auto add = [&](const schatten_buffer& weights, const schatten_buffer& gradients,
                       const std::array<schatten_entry, 2>& table) {
    return schatten_add_table(model.optimizer, &weights, &gradients, table.data(), table.size());
  };
  check_refused(model, schatten_add_table(model.optimizer, &w, &g, nullptr, 2), "table = null");
  check_refused(model, schatten_add_table(model.optimizer, nullptr, &g, model.table.data(), 2), "weights = null");
  schatten_buffer bad = w;
  bad.type = SCHATTEN_FLOAT64;
  check_refused(model, add(bad, g, model.table), "weights->type = SCHATTEN_FLOAT64");
  bad.type = 7;
  check_refused(model, add(bad, g, model.table), "weights->type = 7");
  bad = w;
  bad.data = nullptr;
  check_refused(model, add(bad, g, model.table), "weights->data = null");
  bad = w;
  bad.size = 39;
  check_refused(model, add(bad, g, model.table), "table[1].weight_offset = 32");
  auto table = model.table;
  table[1].weight_offset = 20;
  check_refused(model, add(w, g, table), "table[1].weight_offset = 20, but it must not overlap table[0]");
  table = model.table;
  table[1].gradient_offset = 20;
  check_refused(model, add(w, g, table), "table[1].gradient_offset = 20");
  // An entry without elements between two that overlap.
  std::array<schatten_entry, 3> with_empty{model.table[0], model.table[1], model.table[1]};
  with_empty[1].gradient_offset = 20;
  with_empty[2] = {.name = "empty",
                   .group = model.vectors,
                   .rank = 1,
                   .shape = {0},
                   .weight_offset = 10,
                   .gradient_offset = 10,
                   .row_blocks = 0};
  check_refused(model, schatten_add_table(model.optimizer, &w, &g, with_empty.data(), 3),
                "table[1].gradient_offset = 20, but it must not overlap table[0]");
  table = model.table;
  table[1].rank = 0;
  check_refused(model, add(w, g, table), "table[1].rank = 0");
  table = model.table;
  table[0].row_blocks = 4;
  check_refused(model, add(w, g, table), "row_blocks = 4");
  table = model.table;
  table[1].name = "qkv";
  check_refused(model, add(w, g, table), "qkv");
  table[1].name = nullptr;
  check_refused(model, add(w, g, table), "table[1].name = null");
  table = model.table;
  table[1].group = model.matrices;  // a vector under a rule for matrices: entry 0 is taken back
  check_refused(model, add(w, g, table), "bias");
  table = model.table;
  table[0].shape[0] = table[0].shape[1] = table[0].shape[2] = std::size_t(1) << 40;
  check_refused(model, add(w, g, table), "table[0].shape");
  const auto minus = [](int n) { return static_cast<std::size_t>(-n); };  // as C converts a negative number
  table = model.table;
  table[0].shape[1] = minus(6);
  check_refused(model, add(w, g, table), "table[0].shape");
  table = model.table;
  table[1].shape[0] = minus(8);
  check_refused(model, add(w, g, table), "table[1].shape");
  table = model.table;
  table[1].weight_offset = minus(8);  // with the entry's size it is 0
  check_refused(model, add(w, g, table), "table[1].weight_offset = 18446744073709551608");
  table = model.table;
  table[1].gradient_offset = 30;
  check_refused(model, add(w, g, table), "table[1].gradient_offset = 30, but it must leave room for 8 elements");
  table = model.table;
  table[1].rank = 5;
  check_refused(model, add(w, g, table), "table[1].rank = 5");
  table = model.table;
  table[0].group = 2;
  check_refused(model, add(w, g, table), "table[0].group = 2");
  table = model.table;
  table[0].row_blocks = minus(1);
  check_refused(model, add(w, g, table), "row_blocks = 18446744073709551615");
  bad = w;
  bad.size = minus(1);
  check_refused(model, add(bad, g, model.table), "weights->size = 18446744073709551615");
  bad = w;
  bad.data = reinterpret_cast<char*>(model.weights.data()) + 2;  // offsets are in elements of this
  bad.size = 39;
  check_refused(model, add(bad, g, model.table), "must be aligned as its type is");
  CHECK(contains(schatten_last_error(), "weights->data = 0x"));
  bad = g;
  bad.data = reinterpret_cast<char*>(model.gradients.data()) + 1;
  check_refused(model, add(w, bad, model.table), "gradients->data = 0x");
  bad = g;
  bad.data = nullptr;
  check_refused(model, add(w, bad, model.table), "gradients->data = null");
  bad = g;
  bad.type = -1;
  check_refused(model, add(w, bad, model.table), "gradients->type = -1");
  check_refused(model, schatten_add_table(model.optimizer, &w, nullptr, model.table.data(), 2), "gradients = null");
  bad = {model.weights.data(), model.weights.size(), SCHATTEN_BFLOAT16};  // the weights as gradients
  check_refused(model, add(w, bad, model.table), "must not overlap");
  CHECK(schatten_step(model.optimizer) == SCHATTEN_OK);  // of nothing
  for (const float x : model.weights) CHECK(x == 0.5F);
  CHECK(model.add() == SCHATTEN_OK);
}

TEST_CASE("a rule observes more than gradients, where it takes it") {
  Model model;
  int sophia = -1;
  const schatten_number numbers[] = {{"lr", 0.5},  {"beta1", 0.0},    {"beta2", 0.0},
                                     {"rho", 1.0}, {"examples", 1.0}, {"weight_decay", 0.0}};
  REQUIRE(schatten_add_group(model.optimizer, "sophia_g", numbers, 6, &sophia) == SCHATTEN_OK);
  float w[2] = {1, 1}, g[2] = {2, 2}, h[2] = {2, 4};
  const schatten_tensor weight{w, SCHATTEN_FLOAT32, 1, {2}, nullptr}, gradient{g, SCHATTEN_FLOAT32, 1, {2}, nullptr};
  schatten_tensor observed{h, SCHATTEN_FLOAT32, 1, {2}, nullptr};
  REQUIRE(schatten_add(model.optimizer, sophia, "s", &weight, &gradient, 1) == SCHATTEN_OK);
  REQUIRE(model.add() == SCHATTEN_OK);
  const schatten_tensor of_bias{model.weights.data(), SCHATTEN_FLOAT32, 1, {8}, nullptr};
  check_refused(model, schatten_observe(model.optimizer, "bias", &of_bias), "group = adamw");
  check_refused(model, schatten_observe(model.optimizer, "t", &observed), "name = t");
  check_refused(model, schatten_observe(model.optimizer, "s", nullptr), "x = null");
  observed.shape[0] = 1;
  check_refused(model, schatten_observe(model.optimizer, "s", &observed), "x of s = 1");
  observed.shape[0] = 2;
  REQUIRE_MESSAGE(schatten_observe(model.optimizer, "s", &observed) == SCHATTEN_OK, schatten_last_error());
  h[0] = h[1] = 0;
  REQUIRE(schatten_step(model.optimizer) == SCHATTEN_OK);  // lr·g/H²
  CHECK(std::abs(w[0] - 0.75F) <= 1e-6F);
  CHECK(std::abs(w[1] - 0.9375F) <= 1e-6F);
}

TEST_CASE("bad tensors and handles") {
  Model model;
  float memory[6] = {};
  schatten_tensor w{model.weights.data(), SCHATTEN_FLOAT32, 2, {2, 3}, nullptr};
  const schatten_tensor g{memory, SCHATTEN_FLOAT32, 2, {3, 2}, nullptr};
  const auto add = [&](const schatten_tensor* gradient) {
    return schatten_add(model.optimizer, model.matrices, "w", &w, gradient, 1);
  };
  check_refused(model, add(&g), "g of w = 3x2");
  CHECK(schatten_remove(model.optimizer, "w") == SCHATTEN_INVALID_ARGUMENT);  // the weight is not kept either
  const std::size_t folded[] = {1, 1};
  w.stride = folded;
  check_refused(model, add(nullptr), "must not overlap itself");
  w.stride = nullptr;
  w.data = nullptr;
  check_refused(model, add(nullptr), "weight->data = null");
  w.data = model.weights.data();
  CHECK(add(nullptr) == SCHATTEN_OK);
  check_refused(model, schatten_set_gradient(model.optimizer, "w", nullptr), "gradient = null");
  check_refused(model, schatten_set_gradient(model.optimizer, "v", &g), "name = v");
  check_refused(model, schatten_set_gradient(model.optimizer, "w", &g), "g of w = 3x2");
  check_refused(model, schatten_set_gradient(model.optimizer, nullptr, &g), "name = null");
  check_refused(model, schatten_add(model.optimizer, model.matrices, "w", &w, nullptr, 1), "name = w");
  const auto refused = [&](auto change, const std::string& words) {
    schatten_tensor bad{model.weights.data() + 8, SCHATTEN_FLOAT32, 2, {2, 3}, nullptr};
    change(bad);
    check_refused(model, schatten_add(model.optimizer, model.matrices, "v", &bad, nullptr, 1), "weight" + words);
    check_refused(model, schatten_set_gradient(model.optimizer, "w", &bad), "gradient" + words);
  };
  const std::size_t beyond[] = {~std::size_t(0) / 8, 1};
  refused([](auto& t) { t.type = 4; }, "->type = 4");
  refused([](auto& t) { t.rank = 0; }, "->rank = 0");
  refused([](auto& t) { t.rank = 5; }, "->rank = 5");
  refused([](auto& t) { t.data = nullptr; }, "->data = null");
  refused([](auto& t) { t.data = static_cast<char*>(t.data) + 2; }, "->data = 0x");
  refused([](auto& t) { t.shape[0] = static_cast<std::size_t>(-2); }, "->shape = 18446744073709551614x3");
  refused([](auto& t) { t.shape[0] = t.shape[1] = std::size_t(1) << 32; }, "->shape = 4294967296x4294967296");
  refused([&](auto& t) { t.stride = beyond; }, " = ");
  CHECK(contains(schatten_last_error(), "stride of gradient = 2305843009213693951"));
  check_refused(model, schatten_add(model.optimizer, model.matrices, "v", nullptr, nullptr, 1), "weight = null");
  check_refused(model, schatten_add(model.optimizer, model.matrices, nullptr, &w, nullptr, 1), "name = null");
  check_refused(model, schatten_add(model.optimizer, 7, "v", &w, nullptr, 1), "group = 7");
  check_refused(model, schatten_save(model.optimizer, nullptr), "path = null");
  check_refused(model, schatten_load(model.optimizer, nullptr), "path = null");
  check_refused(model, schatten_skipped_steps(model.optimizer, nullptr), "count = null");
  CHECK(schatten_include(model.optimizer, "w", 0) == SCHATTEN_OK);
  check_refused(model, schatten_include(model.optimizer, nullptr, 0), "name = null");

  schatten_optimizer closed = 0;
  CHECK(schatten_create(&closed) == SCHATTEN_OK);
  CHECK(schatten_destroy(closed) == SCHATTEN_OK);
  for (const schatten_optimizer handle : {closed, schatten_optimizer(0), ~schatten_optimizer(0)}) {
    int group = -1;
    double value = -1;
    long long count = -1;
    const schatten_buffer weights = model.weight_buffer(), gradients = model.gradient_buffer();
    const schatten_tensor tensor{memory, SCHATTEN_FLOAT32, 2, {3, 2}, nullptr};
    for (const schatten_status status :
         {schatten_step(handle), schatten_destroy(handle), schatten_save(handle, "never"),
          schatten_load(handle, "never"), schatten_add_group(handle, "adamw", nullptr, 0, &group),
          schatten_set(handle, 0, "lr", 1), schatten_get(handle, 0, "lr", &value),
          schatten_add(handle, 0, "w", &tensor, nullptr, 1), schatten_set_gradient(handle, "w", &tensor),
          schatten_observe(handle, "w", &tensor), schatten_include(handle, "w", 0), schatten_remove(handle, "w"),
          schatten_add_table(handle, &weights, &gradients, model.table.data(), 2),
          schatten_skipped_steps(handle, &count)}) {
      check_refused(model, status, "optimizer = " + std::to_string(handle));
      CHECK(contains(schatten_last_error(), "must be open"));
    }
    CHECK((group == -1 && value == -1 && count == -1));
  }
  check_refused(model, schatten_create(nullptr), "optimizer = null");
  check_refused(model, schatten_initialize(-1), "threads = -1");
}

TEST_CASE("DLPack tensors are Views of the same memory") {
  float memory[24];
  std::iota(memory, memory + 24, 0.0F);
  std::int64_t shape[] = {3, 4}, strides[] = {1, 3};
  dlpack::Tensor tensor = dlpack_matrix(memory, shape, strides);
  tensor.byte_offset = 8;
  int called = 0;
  with_view(tensor_of(tensor), "test", "tensor", [&](const auto& v) {
    if constexpr (view_rank<decltype(v)> == 2 && std::same_as<scalar_of<decltype(v)>, float>) {
      CHECK(&v(2, 3) == &memory[2 + 2 + 9]);
      ++called;
    }
  });
  CHECK(called == 1);

  const auto refused = [&](auto change, const std::string& words) {
    dlpack::Tensor bad = dlpack_matrix(memory, shape, strides);
    change(bad);
    CHECK(contains(message_of([&] { tensor_of(bad); }), words));
  };
  std::int64_t negative[] = {-1, 3};
  refused([](auto& t) { t.device.device_type = 2; }, "tensor.device = 2");
  refused([](auto& t) { t.dtype.code = 0; }, "tensor.dtype = code 0 of 32 bits");
  refused([](auto& t) { t.dtype.lanes = 4; }, "tensor.dtype.lanes = 4");
  refused([](auto& t) { t.ndim = 5; }, "tensor.ndim = 5");
  refused([](auto& t) { t.data = nullptr; }, "tensor.data = null");
  refused([](auto& t) { t.shape = nullptr; }, "tensor.shape = null");
  refused([&](auto& t) { t.strides = negative; }, "tensor.strides = -1");
  refused([&](auto& t) { t.shape = negative; }, "tensor.shape = -1");
  refused([](auto& t) { t.ndim = 0; }, "tensor.ndim = 0");
  refused([](auto& t) { t.byte_offset = 6; }, "tensor.byte_offset = 6");
  std::int64_t large[] = {std::int64_t(1) << 40, std::int64_t(1) << 40}, beyond[] = {std::int64_t(1) << 62, 1};
  refused([&](auto& t) { t.shape = large; }, "tensor.shape = 1099511627776x1099511627776");
  const auto no_view = [&](const dlpack::Tensor& bad) {
    return message_of([&] { with_view(tensor_of(bad), "test", "w", [](const auto&) { CHECK(false); }); });
  };
  tensor.strides = beyond;
  CHECK(contains(no_view(tensor), "stride of w = 4611686018427387904"));
  tensor = dlpack_matrix(memory, shape, nullptr);
  tensor.data = reinterpret_cast<char*>(memory) + 1;
  CHECK(contains(no_view(tensor), "w = 0x"));
  CHECK(std::accumulate(memory, memory + 24, 0.0F) == 276);

  // A gradient of another shape: the parameter keeps the one that it has.
  Optimizer<float, Kokkos::DefaultHostExecutionSpace, linalg::PortableBackend> optimizer;
  std::int64_t turned[] = {4, 3};
  const dlpack::Tensor w = dlpack_matrix(memory, shape, nullptr), g = dlpack_matrix(memory + 12, turned, nullptr);
  with_view(tensor_of(w), "test", "w", [&](const auto& v) {
    if constexpr (std::same_as<scalar_of<decltype(v)>, float>) optimizer.add(optimizer.add_group(AdamW{}), "w", v);
  });
  CHECK(contains(
      message_of([&] { with_view(tensor_of(g), "test", "g", [&](const auto& v) { optimizer.set_gradient("w", v); }); }),
      "g of w = 4x3"));
  for (const int of_another_machine : {0, 4, 7, 8, 10, 14}) {
    refused([&](auto& t) { t.device.device_type = of_another_machine; }, "tensor.device = ");
  }

  // What with_view makes no View of.
  const auto unusable = [&](auto change, const std::string& words) {
    dlpack::Tensor bad = dlpack_matrix(memory, shape, strides);
    change(bad);
    const std::string message = message_of([&] { with_view(tensor_of(bad), "test", "tensor", [](const auto&) {}); });
    CHECK_MESSAGE(contains(message, words), message);
  };
  std::int64_t far[] = {std::int64_t(1) << 61, 1};
  unusable([&](auto& t) { t.strides = far; }, "stride of tensor = 2305843009213693952");
}

TEST_CASE("managed DLPack tensors, out and in") {
  const Kokkos::View<BFloat16**, Kokkos::LayoutLeft, Kokkos::HostSpace> matrix("matrix", 3, 5);
  const auto check = [&](auto* const made) {
    const auto owner = own_dlpack(made);
    CHECK(matrix.use_count() == 2);
    const TensorRef tensor = tensor_of(*owner);
    CHECK(tensor.data == matrix.data());
    CHECK(tensor.type == ElementType::bfloat16);
    CHECK(tensor.stride[1] == 3);
  };
  check(to_dlpack(matrix));
  check(to_dlpack<dlpack::ManagedTensor>(matrix));
  CHECK(matrix.use_count() == 1);

  const Kokkos::View<const BFloat16**, Kokkos::LayoutLeft, Kokkos::HostSpace> read_only = matrix;
  const auto owner = own_dlpack(to_dlpack(read_only));
  CHECK(contains(message_of([&] { tensor_of(*owner); }), "tensor.flags = 1"));
  CHECK(tensor_of(*owner, "test", "tensor", true).size() == 15);
  // What is left of a capsule that was taken already.
  dlpack::ManagedTensor* const taken = nullptr;
  CHECK(contains(message_of([&] { own_dlpack(taken); }), "managed = null"));
  owner->version.major = 2;
  CHECK(contains(message_of([&] { tensor_of(*owner); }), "tensor.version = 2"));
}

template <class R>
concept Viewable = requires(R&& numbers) {
  vector_view(std::forward<R>(numbers));
};

TEST_CASE("spans and mdspans") {
  std::vector<double> memory(12);
  const auto matrix = matrix_view(std::span(memory), 3, 4);
  CHECK(&matrix(2, 1) == &memory[9]);
  CHECK(vector_view(std::span<const double>(memory)).extent(0) == 12);
  CHECK(contains(message_of([&] { matrix_view(std::span(memory), 3, 5); }), "numbers = 12"));
  // Vectors and arrays are taken too, unless they are temporaries.
  CHECK(&matrix_view(memory, 3, 4)(2, 1) == &memory[9]);
  CHECK(contains(message_of([&] { matrix_view(memory, 3, 5); }), "numbers = 12"));
  static_assert(std::is_const_v<decltype(vector_view(std::as_const(memory)))::value_type>);
  double array[12] = {};
  CHECK(&matrix_view(array, 4, 3)(1, 1) == &array[4]);
  CHECK(vector_view(array).extent(0) == 12);
  static_assert(Viewable<std::span<double>> && Viewable<std::vector<double>&> && !Viewable<std::vector<double>>);
  const auto columns = view(ColumnMajor{memory.data(), 3, 4});
  static_assert(std::is_const_v<decltype(columns)::value_type>);
  CHECK(&columns(2, 1) == &memory[5]);
  CHECK(contains(message_of([&] { view(ColumnMajor{nullptr, 3, 4}); }), "data_handle = null"));
  const std::size_t high = std::size_t(1) << 63, minus_one = ~std::size_t(0);
  const auto refused = [&](const ColumnMajor& m, const char* words) {
    CHECK(contains(message_of([&] { view(m); }), words));
  };
  refused({memory.data(), 3, 4, 1, false}, "mapping = no strides");
  refused({memory.data(), 3, 4, minus_one}, "stride of data_handle = 18446744073709551615");
  refused({memory.data(), minus_one, 4}, "extent of data_handle = 18446744073709551615");
  refused({memory.data(), high, 2}, "extent of data_handle = 9223372036854775808");
  refused({reinterpret_cast<const double*>(reinterpret_cast<const char*>(memory.data()) + 4), 1, 1}, "must be aligned");
  // rows times cols is 0 in these numbers.
  CHECK(contains(message_of([&] { matrix_view(std::span(memory).first(0), high, 2); }), "numbers = 0"));
  CHECK(contains(message_of([&] { matrix_view(std::span(memory), minus_one, 4); }), "numbers = 12"));
  char* const odd = reinterpret_cast<char*>(memory.data()) + 4;
  CHECK(contains(message_of([&] {
                   view(ColumnMajor{reinterpret_cast<const double*>(odd), 3, 1});
                 }),
                 "must be aligned as its type is"));
  // Extents whose product overflows to the size of the span.
  CHECK(contains(message_of([&] { matrix_view(std::span<double>(), std::size_t(1) << 32, std::size_t(1) << 32); }),
                 "numbers = 0"));
}
