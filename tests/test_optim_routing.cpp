// SPDX-License-Identifier: BSD-3-Clause
// Routing by the names and shapes of published models, overrides, and what it refuses.
// labels: portable

#include "support/errors.hpp"
#include <schatten/optim/routing.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

struct Expected {
  std::string name;
  std::vector<std::size_t> shape;
  Route route;
};

constexpr Route matrix = Route::matrix, embedding = Route::embedding, head = Route::head, vector = Route::vector;

void check_model(const std::vector<Expected>& model, const RoutingOptions& options = {}) {
  std::vector<NamedShape> parameters;
  for (const Expected& line : model) parameters.push_back({line.name, line.shape});
  const RoutingTable table = route(parameters, options);
  REQUIRE(table.size() == model.size());
  for (std::size_t k = 0; k < table.size(); ++k) {
    CAPTURE(table[k].name);
    CAPTURE(table[k].reason);
    CHECK(table[k].name == model[k].name);
    CHECK(table[k].shape == model[k].shape);
    CHECK(to_string(table[k].route) == to_string(model[k].route));
    CHECK(!table[k].reason.empty());
  }
}

}  // namespace

TEST_CASE("routing of Llama") {
  check_model({{"model.embed_tokens.weight", {32000, 4096}, embedding},
               {"model.layers.0.self_attn.q_proj.weight", {4096, 4096}, matrix},
               {"model.layers.0.self_attn.k_proj.weight", {1024, 4096}, matrix},
               {"model.layers.0.self_attn.o_proj.weight", {4096, 4096}, matrix},
               {"model.layers.0.self_attn.q_norm.weight", {128}, vector},
               {"model.layers.0.mlp.gate_proj.weight", {11008, 4096}, matrix},
               {"model.layers.0.mlp.down_proj.weight", {4096, 11008}, matrix},
               {"model.layers.0.input_layernorm.weight", {4096}, vector},
               {"model.layers.0.post_attention_layernorm.weight", {4096}, vector},
               {"model.norm.weight", {4096}, vector},
               {"lm_head.weight", {32000, 4096}, head}});
  // As published.
  check_model({{"tok_embeddings.weight", {32000, 4096}, embedding},
               {"layers.0.attention.wq.weight", {4096, 4096}, matrix},
               {"layers.0.feed_forward.w1.weight", {11008, 4096}, matrix},
               {"layers.0.attention_norm.weight", {4096}, vector},
               {"output.weight", {32000, 4096}, head}});
}

TEST_CASE("routing of GPT-2, nanoGPT and llm.c") {
  check_model({{"wte.weight", {50257, 768}, embedding},
               {"wpe.weight", {1024, 768}, embedding},
               {"h.0.ln_1.weight", {768}, vector},
               {"h.0.attn.c_attn.weight", {768, 2304}, matrix},
               {"h.0.attn.c_attn.bias", {2304}, vector},
               {"h.0.attn.c_proj.weight", {768, 768}, matrix},
               {"h.0.mlp.c_fc.weight", {768, 3072}, matrix},
               {"ln_f.bias", {768}, vector}});
  check_model({{"_orig_mod.transformer.wte.weight", {50304, 768}, embedding},
               {"_orig_mod.transformer.wpe.weight", {1024, 768}, embedding},
               {"_orig_mod.transformer.h.11.mlp.c_fc.weight", {3072, 768}, matrix},
               {"_orig_mod.transformer.ln_f.weight", {768}, vector},
               {"_orig_mod.lm_head.weight", {50304, 768}, head}});
  // Layers in one array: gains (layers, channels) look like matrices.
  check_model({{"wte", {50257, 768}, embedding},
               {"wpe", {1024, 768}, embedding},
               {"ln1w", {12, 768}, vector},
               {"ln1b", {12, 768}, vector},
               {"qkvw", {12, 2304, 768}, matrix},
               {"qkvb", {12, 2304}, vector},
               {"fcprojw", {12, 768, 3072}, matrix},
               {"lnfw", {768}, vector}},
              {.overrides = {{NameMatch::glob, "*b", Route::vector}}});
}

TEST_CASE("routing of convolutional networks and vision transformers") {
  check_model({{"conv1.weight", {64, 3, 7, 7}, matrix},
               {"bn1.weight", {64}, vector},
               {"layer1.0.conv2.weight", {64, 64, 3, 3}, matrix},
               {"layer2.0.downsample.0.weight", {128, 64, 1, 1}, matrix},
               {"layer2.0.downsample.1.weight", {128}, vector},
               {"features.1.depthwise.weight", {32, 1, 3, 3}, vector},
               {"fc.weight", {1000, 2048}, head},
               {"fc.bias", {1000}, vector}});
  check_model({{"conv1.weight", {64, 3, 7, 7}, vector}, {"mlp.fc1.weight", {64, 32}, matrix}},
              {.conv_matrices = false});
  check_model({{"cls_token", {1, 1, 768}, vector},
               {"pos_embed", {1, 197, 768}, embedding},
               {"patch_embed.proj.weight", {768, 3, 16, 16}, embedding},
               {"blocks.0.norm1.weight", {768}, vector},
               {"blocks.0.attn.qkv.weight", {2304, 768}, matrix},
               {"blocks.0.mlp.fc1.weight", {3072, 768}, matrix},
               {"blocks.0.ls1.gamma", {768}, vector},
               {"layers.0.attn.relative_position_bias_table", {169, 3}, vector},
               {"head.weight", {1000, 768}, head},
               {"heads.head.weight", {1000, 768}, head}});
}

TEST_CASE("routing of mixtures of experts") {
  check_model({{"model.layers.0.block_sparse_moe.experts.3.w1.weight", {14336, 4096}, matrix},
               {"model.layers.0.block_sparse_moe.gate.weight", {8, 4096}, matrix},
               {"model.layers.0.mlp.experts.gate_up_proj", {32, 2880, 5760}, matrix},
               {"model.layers.0.mlp.experts.gate_up_proj_bias", {32, 5760}, vector},
               {"model.layers.0.mlp.experts.down_proj", {32, 2880, 2880}, matrix},
               {"model.layers.0.mlp.router.bias", {32}, vector}});
}

TEST_CASE("routing of JAX's trees of names") {
  check_model({{"params/Embed_0/embedding", {50257, 768}, embedding},
               {"params/LayerNorm_0/scale", {12, 768}, vector},
               {"params/Attention_0/query/kernel", {768, 768}, matrix},
               {"params/Dense_0/bias", {12, 3072}, vector},
               {"params/LMHead/kernel", {768, 50257}, head}});
}

TEST_CASE("what only looks like a matrix is no matrix, whatever its name is") {
  check_model({{"w", {7, 5}, matrix},
               {"row", {1, 7}, vector},
               {"column", {7, 1}, vector},
               {"number", {}, vector},
               {"one", {1, 1}, vector},
               {"gains", {1, 7, 1}, vector},
               {"rows of a batch", {4, 1, 7}, vector},
               {"columns of a batch", {4, 7, 1}, vector},
               {"one matrix", {1, 7, 5}, matrix},
               {"empty", {0, 5}, vector},
               {"attn.scale", {12, 64}, vector},
               {"multi_head_attention.q", {8, 8}, matrix},
               {"video.kernel", {8, 3, 3, 3, 3}, vector}});
}

TEST_CASE("overrides come first; a framework's own convention is a callable") {
  check_model({{"lm_head.weight", {100, 8}, matrix},
               {"layers.0.gate.weight", {8, 16}, vector},
               {"layers.0.up.weight", {8, 16}, matrix},
               {"scale", {8, 16}, matrix}},
              {.overrides = {{NameMatch::glob, "LM_*.weight", Route::matrix},
                             {NameMatch::component, "gate", Route::vector},
                             {NameMatch::last, "scale", Route::matrix}}});
  RoutingOptions options;
  options.convention = [](std::string_view name, const std::vector<std::size_t>& shape) -> std::optional<Routing> {
    if (name.front() == 'E') return Routing{Route::embedding, "an E at the beginning"};
    if (shape[0] > 1000) return Routing{Route::head, "many rows"};
    return std::nullopt;
  };
  check_model({{"E0", {7, 5}, embedding}, {"embed", {7, 5}, matrix}, {"W", {2000, 5}, head}}, options);
  const RoutingTable table = route({{"E0", {7, 5}}, {"W", {7, 5}}}, options);
  CHECK(table[0].reason == "an E at the beginning");
}

TEST_CASE("the table as text") {
  const RoutingTable table = route({{"wte.weight", {50257, 768}},
                                    {"h.0.attn.weight", {2304, 768}},
                                    {"experts", {4, 8, 6}},
                                    {"conv", {8, 3, 3, 3}},
                                    {"h.0.ln_1.weight", {768}},
                                    {"head.weight", {10, 768}}},
                                   {.overrides = {{NameMatch::holds, "head", Route::vector}}});
  CHECK(to_string(table) ==
        "wte.weight       50257x768  embedding  a component is 'wte'\n"
        "h.0.attn.weight  2304x768   matrix     a matrix\n"
        "experts          4x8x6      matrix     4 matrices\n"
        "conv             8x3x3x3    matrix     a convolution, as a matrix\n"
        "h.0.ln_1.weight  768        vector     a vector\n"
        "head.weight      10x768     vector     override: the name holds 'head'\n");
  CHECK(to_string(RoutingTable{}).empty());
}

TEST_CASE("a group whose map would never run is refused, and so are names that cannot be") {
  const std::string never = "schatten::route: parameters = 2, but it must hold a matrix that goes to Route::matrix";
  CHECK(contains(message_of([] { (void)route({{"wte.weight", {100, 8}}, {"bias", {8}}}); }), never));
  // A vector that is sent there runs no map either.
  CHECK(contains(
      message_of([] {
        (void)route({{"row", {1, 8}}, {"bias", {8}}}, {.overrides = {{NameMatch::glob, "row", Route::matrix}}});
      }),
      never));
  CHECK(contains(message_of([] { (void)route({}); }), "parameters = 0"));
  CHECK(route({{"wte.weight", {100, 8}}}, {.require_matrix = false}).size() == 1);
  CHECK(contains(message_of([] {
                   (void)route({{"w", {3, 4}}, {"", {3, 4}}});
                 }),
                 "schatten::route: name = , but it must"));
  CHECK(contains(message_of([] {
                   (void)route({{"w", {3, 4}}, {"v", {3, 4}}, {"w", {3, 4}}});
                 }),
                 "schatten::route: name = w, but it must not be that of two parameters"));
}

TEST_CASE("words and patterns of names") {
  using Words = std::vector<std::string>;
  CHECK(optim::name_words("LayerNorm_0") == Words{"layer", "norm", "0"});
  CHECK(optim::name_words("LMHead2x") == Words{"lm", "head", "2", "x"});
  CHECK(optim::name_words("ln1") == Words{"ln", "1"});
  CHECK(optim::name_words("lm_head") == Words{"lm", "head"});
  CHECK(optim::name_words("_") == Words{});
  CHECK(optim::glob_matches("*.weight", "a.b.weight"));
  CHECK(optim::glob_matches("a?c*", "abc"));
  CHECK(optim::glob_matches("*a*b*", "xxaxxbxx"));
  CHECK(!optim::glob_matches("*a*b", "xxaxxbxx"));
  CHECK(!optim::glob_matches("", "a"));
  CHECK(optim::glob_matches("**", ""));
}
