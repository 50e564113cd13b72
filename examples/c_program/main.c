/* SPDX-License-Identifier: BSD-3-Clause */
/* A training program in C. Its parameters lie in one flat array, as in llm.c: the layers' query-key-value matrices
 * stacked as [L, 3C, C], the projections as [L, C, C], the biases as [L, 3C]. Query, key and value of each layer are
 * matrices of their own: row_blocks = 3. One optimizer does half of the run. Another goes on from its file.
 *
 * The loss is half the squared distance to weights that are drawn at random; its gradient is the difference. */
#include <schatten/interop/c_api.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { layers = 4, channels = 32, steps = 100 };
enum {
  qkv_size = layers * 3 * channels * channels,
  projection_size = layers * channels * channels,
  bias_size = layers * 3 * channels,
  size = qkv_size + projection_size + bias_size
};

static float weights[size], wanted[size], gradients[size];

/* Ends the program with what the library says. */
static void check(schatten_status status) {
  if (status == SCHATTEN_OK) return;
  fprintf(stderr, "%s\n", schatten_last_error());
  exit(1);
}

static schatten_optimizer make_optimizer(void) {
  schatten_optimizer optimizer;
  int matrices, biases;
  const schatten_number htmuon[] = {{"lr", 0.02}, {"power", 0.125}, {"weight_decay", 0.0}};
  const schatten_number adamw[] = {{"lr", 0.02}, {"weight_decay", 0.0}};
  check(schatten_create(&optimizer));
  check(schatten_add_group(optimizer, "htmuon", htmuon, 3, &matrices));
  check(schatten_add_group(optimizer, "adamw", adamw, 2, &biases));

  schatten_entry table[3];
  memset(table, 0, sizeof table);
  table[0].name = "qkv";
  table[0].rank = 3;
  table[0].shape[0] = layers;
  table[0].shape[1] = 3 * channels;
  table[0].shape[2] = channels;
  table[0].row_blocks = 3;
  table[1].name = "projection";
  table[1].rank = 3;
  table[1].shape[0] = layers;
  table[1].shape[1] = table[1].shape[2] = channels;
  table[2].name = "bias";
  table[2].rank = 2;
  table[2].shape[0] = layers;
  table[2].shape[1] = 3 * channels;
  table[0].group = table[1].group = matrices;
  table[2].group = biases;
  table[1].weight_offset = table[1].gradient_offset = qkv_size;
  table[2].weight_offset = table[2].gradient_offset = qkv_size + projection_size;

  const schatten_buffer w = {weights, size, SCHATTEN_FLOAT32}, g = {gradients, size, SCHATTEN_FLOAT32};
  check(schatten_add_table(optimizer, &w, &g, table, 3));
  return optimizer;
}

static double evaluate(void) {
  double loss = 0;
  for (int i = 0; i < size; ++i) {
    gradients[i] = weights[i] - wanted[i];
    loss += 0.5 * gradients[i] * gradients[i];
  }
  return loss / size;
}

int main(int argc, char** argv) {
  const char* const path = argc > 1 ? argv[1] : "c_program.safetensors";
  unsigned state = 1;
  for (int i = 0; i < size; ++i) {
    state = 1664525u * state + 1013904223u;
    wanted[i] = 0.2f * ((float)(state >> 8) / (float)(1 << 23) - 1.0f);
  }
  check(schatten_initialize(2)); /* threads */
  schatten_optimizer optimizer = make_optimizer();
  const double first = evaluate();
  double loss = first;
  for (int step = 1; step <= steps; ++step) {
    check(schatten_set(optimizer, 0, "lr", 0.02 * (1.0 - (double)step / (steps + 1))));
    check(schatten_step(optimizer));
    loss = evaluate();
    if (step % 20 == 0) printf("step %3d  loss %.6f\n", step, loss);
    if (step == steps / 2) {
      check(schatten_save(optimizer, path));
      check(schatten_destroy(optimizer));
      optimizer = make_optimizer();
      check(schatten_load(optimizer, path));
    }
  }
  check(schatten_destroy(optimizer));
  check(schatten_finalize());
  return loss < 0.05 * first ? 0 : 1;
}
