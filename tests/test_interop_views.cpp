// SPDX-License-Identifier: BSD-3-Clause
// labels: bare portable compilers
// Raw pointers and Eigen objects as Views: the same memory, the same elements, no copy.

#include "support/errors.hpp"
#include "support/known_spectrum.hpp"
#include "support/typed.hpp"
#include <schatten/interop/eigen.hpp>
#include <schatten/interop/pointers.hpp>
#include <schatten/optim/optimizer.hpp>
#include <schatten/optim/rules.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColMajor = Eigen::MatrixXf;

/// Every element of the View is the coefficient of the Eigen object, by address.
template <class V, class M>
bool same_elements(const V& v, const M& m) {
  if constexpr (view_rank<V> == 1) {
    if (v.extent(0) != std::size_t(m.size())) return false;
    for (Eigen::Index i = 0; i < m.size(); ++i) {
      if (&v(std::size_t(i)) != &m.coeffRef(m.cols() == 1 ? i : 0, m.cols() == 1 ? 0 : i)) return false;
    }
    return true;
  } else {
    if (v.extent(0) != std::size_t(m.rows()) || v.extent(1) != std::size_t(m.cols())) return false;
    for (Eigen::Index i = 0; i < m.rows(); ++i) {
      for (Eigen::Index j = 0; j < m.cols(); ++j) {
        if (&v(std::size_t(i), std::size_t(j)) != &m.coeffRef(i, j)) return false;
      }
    }
    return true;
  }
}

template <class V>
inline constexpr bool is_const_view = std::is_const_v<typename V::value_type>;

}  // namespace

TEST_CASE("pointers with strides") {
  std::vector<double> memory(60);
  std::iota(memory.begin(), memory.end(), 0.0);
  const auto contiguous = matrix_view(memory.data(), 4, 5);
  const auto strided = matrix_view(memory.data() + 3, 3, 4, 13, 2);
  const auto constant = matrix_view(static_cast<const double*>(memory.data()), 4, 5);
  static_assert(is_const_view<decltype(constant)> && !is_const_view<decltype(contiguous)>);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      CHECK(&contiguous(i, j) == &memory[5 * i + j]);
      CHECK(&constant(i, j) == &memory[5 * i + j]);
      if (i < 3 && j < 4) CHECK(&strided(i, j) == &memory[3 + 13 * i + 2 * j]);
    }
  }
}

TEST_CASE("a null pointer serves an empty matrix alone") {
  float* const none = nullptr;
  CHECK(matrix_view(none, 0, 4).size() == 0);
  const std::string message = message_of([&] { matrix_view(none, 2, 4); });
  CHECK(contains(message, "schatten::matrix_view: data = 0"));
  CHECK(contains(message, "must point to the matrix"));
  // Extents whose product overflows to 0.
  const std::size_t many = std::size_t(1) << 32;
  CHECK(contains(message_of([&] { matrix_view(none, many, many); }), "must point to the matrix"));
  float one = 1;
  CHECK(contains(message_of([&] { matrix_view(&one, many, many); }),
                 "must not make more elements than there are addresses"));
}

TEST_CASE("memory that no View can be of is refused by name") {
  std::vector<float> memory(32);
  char* const bytes = reinterpret_cast<char*>(memory.data());
  auto* const odd = reinterpret_cast<float*>(bytes + 2);
  for (const std::string& message :
       {message_of([&] { matrix_view(odd, 2, 3); }), message_of([&] { vector_view(odd, 3); })}) {
    CHECK(contains(message, "data = 0x"));
    CHECK(contains(message, "aligned as its type is"));
  }
  const std::size_t minus_one = ~std::size_t{0};
  const std::string message = message_of([&] { matrix_view(memory.data() + 8, 2, 3, 3, minus_one); });
  CHECK(contains(message, "stride of data = 18446744073709551615"));
  // Extents that overflow: of 2^32 times 2^32 elements none is left.
  float* const none = nullptr;
  const std::size_t large = std::size_t(1) << 32;
  CHECK(contains(message_of([&] { matrix_view(none, large, large); }), "data = 0"));
  for (const auto& [rows, cols] : {std::pair(large, large), {minus_one, std::size_t(3)}, {std::size_t(2), minus_one}}) {
    const std::string extent = "extent of data = " + std::to_string((std::max)(rows, cols));
    CHECK(contains(message_of([&, r = rows, c = cols] { matrix_view(memory.data(), r, c); }), extent));
  }
  CHECK(contains(message_of([&] { vector_view(memory.data(), minus_one); }), "extent of data = 1844"));
  CHECK(contains(message_of([&] { vector_view(none, 3); }), "data = 0"));
  CHECK(contains(message_of([&] { vector_view(memory.data(), 3, minus_one); }), "stride of data = 1844"));
  CHECK(memory == std::vector<float>(32));
  // Strides of an extent of 1 name nothing.
  CHECK(matrix_view(memory.data(), 1, 3, minus_one, 1).size() == 3);
  CHECK(matrix_view(memory.data(), 3, 1, 1, 0).size() == 3);
  // A View of the user's own, given to a function.
  const Kokkos::View<float**, Kokkos::LayoutRight, Kokkos::HostSpace, Kokkos::MemoryTraits<Kokkos::Unmanaged>> view(
      odd, 2, 3);
  CHECK(contains(message_of([&] { as_batch<SerialExec>(view); }), "view = 0x"));
}

// A Ref of something const may hold a copy: as a temporary it would take that with it.
template <class M>
concept Viewable = requires(M&& m) {
  view(std::forward<M>(m));
};
static_assert(!Viewable<Eigen::Ref<const RowMajor>> && !Viewable<const Eigen::Ref<const RowMajor>>);
static_assert(Viewable<Eigen::Ref<RowMajor>> && Viewable<const Eigen::Ref<const RowMajor>&>);
static_assert(!Viewable<RowMajor> && Viewable<RowMajor&> && Viewable<Eigen::Map<RowMajor>>);

TEST_CASE("Eigen matrices, maps, references and blocks") {
  ColMajor col_major = ColMajor::Random(6, 4);
  RowMajor row_major = RowMajor::Random(6, 4);
  Eigen::Matrix3d fixed = Eigen::Matrix3d::Random();
  Eigen::VectorXf vector = Eigen::VectorXf::Random(5);
  Eigen::RowVectorXf row = Eigen::RowVectorXf::Random(5);
  CHECK(same_elements(view(col_major), col_major));
  CHECK(same_elements(view(row_major), row_major));
  CHECK(same_elements(view(fixed), fixed));
  CHECK(same_elements(view(vector), vector));
  CHECK(same_elements(view(row), row));
  static_assert(view_rank<decltype(view(vector))> == 1 && view_rank<decltype(view(row))> == 1);
  static_assert(view_rank<decltype(view(col_major.row(3)))> == 1 && view_rank<decltype(view(fixed))> == 2);

  auto block = col_major.block(1, 1, 3, 2);
  auto row_block = row_major.block(2, 0, 3, 3);
  CHECK(same_elements(view(block), block));
  CHECK(same_elements(view(row_block), row_block));
  CHECK(same_elements(view(col_major.block(1, 1, 3, 2)), block));
  CHECK(same_elements(view(col_major.row(3)), col_major.row(3)));
  CHECK(same_elements(view(row_major.col(3)), row_major.col(3)));

  Eigen::Map<RowMajor, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> map(
      row_major.data(), 3, 2, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(8, 2));
  CHECK(same_elements(view(map), map));
  CHECK(same_elements(view(Eigen::Map<ColMajor>(col_major.data(), 6, 4)), col_major));
  Eigen::Ref<ColMajor> reference(col_major);
  CHECK(same_elements(view(reference), col_major));
}

TEST_CASE("an Eigen vector is refused in a group of matrices, with the reason, and taken in one of AdamW") {
  Eigen::VectorXf bias = Eigen::VectorXf::Zero(5), gradient = Eigen::VectorXf::Ones(5);
  Optimizer<float, SerialExec, linalg::PortableBackend> optimizer;
  const auto hidden = optimizer.add_group(Muon{}), other = optimizer.add_group(AdamW{.lr = 0.5, .weight_decay = 0});
  const std::string message = message_of([&] { optimizer.add(hidden, "bias", view(bias), view(gradient)); });
  CHECK(contains(message, "rank of bias = 1"));
  CHECK(contains(message, "muon takes matrices; put vectors into a group with AdamW or SGD"));
  optimizer.add(other, "bias", view(bias), view(gradient));
  optimizer.step(SerialExec());
  CHECK(bias(4) == doctest::Approx(-0.5));
}

TEST_CASE("memory of Eigen's that no View can be of, and a gradient of another shape") {
  std::vector<float> memory(12, 1.0F);
  using Stride = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  CHECK(contains(message_of([] { view(Eigen::Map<ColMajor>(nullptr, 2, 3)); }), "data = 0"));
  CHECK(contains(message_of([&] { view(Eigen::Map<RowMajor, 0, Stride>(memory.data() + 11, 3, 4, Stride(-4, -1))); }),
                 "stride of data = 1844674407370955161"));
  ColMajor weight = ColMajor::Ones(4, 3), gradient = ColMajor::Ones(3, 4);
  Optimizer<float, SerialExec, linalg::PortableBackend> optimizer;
  const auto group = optimizer.add_group(AdamW{});
  CHECK(contains(message_of([&] { optimizer.add(group, "w", view(weight), view(gradient)); }), "g of w = 3x4"));
  CHECK(contains(message_of([&] { optimizer.add(group, "w", view(weight), view(weight)); }), "must not overlap w"));
  optimizer.step(SerialExec());  // of nothing
  CHECK(weight == ColMajor::Ones(4, 3));
  CHECK(gradient == ColMajor::Ones(3, 4));
}

TEST_CASE("what is const gives a View of const") {
  const ColMajor constant = ColMajor::Random(3, 4);
  ColMajor matrix = constant;
  const Eigen::Map<const ColMajor> map(matrix.data(), 3, 4);
  static_assert(is_const_view<decltype(view(constant))>);
  static_assert(is_const_view<decltype(view(map))>);
  static_assert(is_const_view<decltype(view(constant.block(0, 0, 2, 2)))>);
  static_assert(is_const_view<decltype(view(Eigen::Map<const ColMajor>(matrix.data(), 3, 4)))>);
  static_assert(!is_const_view<decltype(view(matrix))>);
  static_assert(!is_const_view<decltype(view(matrix.block(0, 0, 2, 2)))>);
  CHECK(&view(constant)(2, 3) == &constant.coeffRef(2, 3));
  CHECK(&view(map)(2, 3) == &matrix.coeffRef(2, 3));
}

TEST_CASE("the map writes straight into the memory of the training code") {
  const SerialExec exec;
  const KnownMatrix known = known_matrix(12, 8, singular_values_of(Spectrum::geometric, 8, 0.1), 1);
  const Matrix wanted = known.power(0.125);
  SpectralPower<float, SerialExec> power({.rows = 12, .cols = 8, .resolution = 0.1, .tolerance = 1e-4});
  const double tolerance = 1e-4;

  const ColMajor gradient = known.matrix().cast<float>();
  RowMajor update(12, 8);
  power.apply(exec, view(gradient), view(update));
  CHECK(max_abs(update.cast<double>() - wanted) <= tolerance);

  std::vector<float> weights(12 * 10, -1.0F);  // rows of 10, two of padding
  power.apply(exec, view(gradient), matrix_view(weights.data(), 12, 8, 10, 1));
  for (std::size_t i = 0; i < 12; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      CHECK(std::abs(double(weights[10 * i + j]) - wanted(Eigen::Index(i), Eigen::Index(j))) <= tolerance);
    }
    CHECK(weights[10 * i + 8] == -1.0F);
    CHECK(weights[10 * i + 9] == -1.0F);
  }
}
