// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <schatten/optim/bucket.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/optim/stages/adam.hpp>
#include <schatten/optim/stages/block_moment.hpp>

namespace schatten {

/// The blocks of a matrix whose elements share a second moment in AdamMini.
enum class MomentBlocks {
  array,    ///< one block: norm gains
  rows,     ///< a row: embedding, head, value, projection and MLP matrices
  heads,    ///< rows/heads neighbouring rows: query and key
  elements  ///< an element, as in AdamW: biases
};

/// Adam-mini: AdamW with one second moment for each block of elements (Zhang et al., arXiv 2406.16793, Algorithm 1).
/// For any parameter; a vector is one row.
///
/// D_ij = m̂_ij/(√v̂_b + ε), m̂ as AdamW's, v_b ← β₂v_b + (1−β₂)·mean of g² over the block b of (i, j).
struct AdamMini {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  MomentBlocks blocks = MomentBlocks::rows;
  std::size_t heads = 1;  ///< number of blocks with MomentBlocks::heads; must divide the rows
  double weight_decay = 0.0;
  DecayMode decay = DecayMode::decoupled;

  static constexpr std::string_view name = "adam_mini";
  static constexpr bool one_region = true;

  template <class Fields>
  static void fields(Fields& f) {
    optim::adam_fields<AdamMini>(f);
    f("blocks", &AdamMini::blocks, optim::fixed_choice(4));
    f("heads", &AdamMini::heads, optim::fixed_at_least_one);
  }
  [[nodiscard]] std::vector<StateSlot> state(std::size_t rows, std::size_t) const {
    StateSlot root{"second_moment_root"};
    if (blocks != MomentBlocks::elements) {
      root = {.name = root.name, .extent = Extent::given, .rows = moments(rows), .cols = 1};
      if (blocks == MomentBlocks::array) root.extent = Extent::number;
    }
    return {{"momentum"}, root};
  }
  [[nodiscard]] bool commutes() const { return blocks == MomentBlocks::array || blocks == MomentBlocks::elements; }
  void check_shape(std::size_t rows, std::size_t, std::string_view function, std::string_view parameter) const {
    require(blocks != MomentBlocks::heads || rows % heads == 0, function, optim::argument_of("heads", parameter), heads,
            "must divide the rows of the matrix");
  }

  template <class Bucket>
  void prepare(Bucket& bucket, const typename Bucket::Numbers&) const {
    if (blocks != MomentBlocks::elements) optim::update_block_roots(bucket, 1, moments(bucket.rows()), beta2);
  }
  template <Scalar T>
  KOKKOS_FUNCTION auto element(double step, double = 0) const {
    auto adam = optim::adam_element<T>(beta1, beta2, epsilon, step);
    if (blocks != MomentBlocks::elements) adam.gain2 = T(0);  // r is already up to date
    return adam;
  }

 private:
  [[nodiscard]] std::size_t moments(std::size_t rows) const {
    if (blocks == MomentBlocks::rows) return rows;
    return blocks == MomentBlocks::heads ? heads : 1;
  }
};

}  // namespace schatten
