// SPDX-License-Identifier: BSD-3-Clause
// The memory of other programs: the C interface, DLPack, spans and mdspans. What is wrong is named, and nothing has changed.
// labels: portable

#include "support/errors.hpp"
#include <schatten/interop/c_api.h>
#include <schatten/interop/dlpack.hpp>
#include <schatten/interop/mdspan.hpp>
#include <schatten/interop/span.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

/// Two layers of a stacked array [2, 6, 2] and a vector, in one array of weights and one of gradients.
struct Model {
  std::vector<float> weights = std::vector<float>(40, 0.5F);
  std::vector<std::uint16_t> gradients = std::vector<std::uint16_t>(36);
  std::array<schatten_entry, 2> table{};
  schatten_optimizer optimizer = 0;
  int matrices = -1, vectors = -1;

  explicit Model(double lr = 0.1) {
    for (std::size_t k = 0; k < gradients.size(); ++k) gradients[k] = BFloat16(float(k % 7) - 2.5F).bits;
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

/// The call was refused, its message has these words, and no weight has moved.
void check_refused(const Model& model, schatten_status status, const std::string& words) {
  CHECK(status == SCHATTEN_INVALID_ARGUMENT);
  CHECK_MESSAGE(contains(schatten_last_error(), words), schatten_last_error());
  for (const float w : model.weights) CHECK(w == 0.5F);
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
  std::size_t rows, cols;
  static constexpr std::size_t rank() { return 2; }
  [[nodiscard]] const double* data_handle() const { return data; }
  [[nodiscard]] std::size_t extent(unsigned char d) const { return d == 0 ? rows : cols; }
  [[nodiscard]] std::size_t stride(unsigned char d) const { return d == 0 ? 1 : rows; }
  [[nodiscard]] bool is_strided() const { return true; }
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
  CHECK(std::string(schatten_rule_name(0)) == "htmuon");
  CHECK(schatten_rule_name(3) == nullptr);
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
  CHECK(schatten_step(model.optimizer) == SCHATTEN_OK);  // of nothing
  for (const float x : model.weights) CHECK(x == 0.5F);
  CHECK(model.add() == SCHATTEN_OK);
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
  CHECK(schatten_include(model.optimizer, "w", 0) == SCHATTEN_OK);
  check_refused(model, schatten_include(model.optimizer, nullptr, 0), "name = null");

  schatten_optimizer closed = 0;
  CHECK(schatten_create(&closed) == SCHATTEN_OK);
  CHECK(schatten_destroy(closed) == SCHATTEN_OK);
  for (const schatten_optimizer handle : {closed, schatten_optimizer(0), ~schatten_optimizer(0)}) {
    check_refused(model, schatten_step(handle), "optimizer = " + std::to_string(handle));
    check_refused(model, schatten_destroy(handle), "must be open");
    check_refused(model, schatten_save(handle, "never"), "optimizer = ");
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
  unusable([](auto& t) { t.byte_offset = 2; }, "must be aligned as its type is");
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
  owner->version.major = 2;
  CHECK(contains(message_of([&] { tensor_of(*owner); }), "tensor.version = 2"));
}

TEST_CASE("spans and mdspans") {
  std::vector<double> memory(12);
  const auto matrix = matrix_view(std::span(memory), 3, 4);
  CHECK(&matrix(2, 1) == &memory[9]);
  CHECK(vector_view(std::span<const double>(memory)).extent(0) == 12);
  CHECK(contains(message_of([&] { matrix_view(std::span(memory), 3, 5); }), "numbers = 12"));
  const auto columns = view(ColumnMajor{memory.data(), 3, 4});
  static_assert(std::is_const_v<decltype(columns)::value_type>);
  CHECK(&columns(2, 1) == &memory[5]);
  CHECK(contains(message_of([&] { view(ColumnMajor{nullptr, 3, 4}); }), "data_handle = null"));
  char* const odd = reinterpret_cast<char*>(memory.data()) + 4;
  CHECK(contains(message_of([&] {
                   view(ColumnMajor{reinterpret_cast<const double*>(odd), 3, 1});
                 }),
                 "must be aligned as its type is"));
  const std::size_t minus_three = ~std::size_t{0} - 2;  // a stride of −3 as an unsigned number
  CHECK(contains(message_of([&] { view(ColumnMajor{memory.data(), minus_three, 4}); }), "stride of data_handle"));
  // Extents whose product overflows to the size of the span.
  CHECK(contains(message_of([&] { matrix_view(std::span<double>(), std::size_t(1) << 32, std::size_t(1) << 32); }),
                 "numbers = 0"));
}
