// SPDX-License-Identifier: BSD-3-Clause
// A training code in the manner of llm.c: parameters and gradients in two arrays from malloc, named by offsets into
// them, and loops. Schatten steps the parameters where they lie.
//
// The model: h = max(0, W1 x + b1), y = W2 h + b2, trained to equal a network of the same shape with other weights.
#include <schatten/interop/pointers.hpp>
#include <schatten/schatten.hpp>

#include <Kokkos_Core.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

enum { inputs = 32, hidden = 96, outputs = 16, batch = 64, steps = 200 };

struct Tensors {
  float* w1;  // hidden × inputs
  float* b1;  // hidden
  float* w2;  // outputs × hidden
  float* b2;  // outputs
};

static const size_t tensor_sizes[] = {hidden * inputs, hidden, outputs* hidden, outputs};
static const size_t tensors_size = hidden * inputs + hidden + outputs * hidden + outputs;

static float* allocate_tensors(Tensors* tensors) {
  float* memory = static_cast<float*>(calloc(tensors_size, sizeof(float)));
  if (memory == nullptr) exit(2);
  float** pointers[] = {&tensors->w1, &tensors->b1, &tensors->w2, &tensors->b2};
  float* next = memory;
  for (int i = 0; i < 4; ++i) {
    *pointers[i] = next;
    next += tensor_sizes[i];
  }
  return memory;
}

// Uniform in [-scale, scale).
static float random_number(unsigned* state, float scale) {
  *state = 1664525u * *state + 1013904223u;
  return scale * (float(*state >> 8) / float(1 << 23) - 1.0f);
}

static void fill_weights(Tensors tensors, unsigned seed) {
  for (int i = 0; i < hidden * inputs; ++i) tensors.w1[i] = random_number(&seed, 0.3f);
  for (int i = 0; i < outputs * hidden; ++i) tensors.w2[i] = random_number(&seed, 0.2f);
}

static void forward(Tensors p, const float* x, float* h, float* y) {
  for (int i = 0; i < hidden; ++i) {
    h[i] = p.b1[i];
    for (int j = 0; j < inputs; ++j) h[i] += p.w1[i * inputs + j] * x[j];
    if (h[i] < 0) h[i] = 0;
  }
  for (int i = 0; i < outputs; ++i) {
    y[i] = p.b2[i];
    for (int j = 0; j < hidden; ++j) y[i] += p.w2[i * hidden + j] * h[j];
  }
}

// Adds the gradients of one example, from dy = dL/dy.
static void backward(Tensors p, Tensors g, const float* x, const float* h, const float* dy) {
  float dh[hidden] = {0};
  for (int i = 0; i < outputs; ++i) {
    g.b2[i] += dy[i];
    for (int j = 0; j < hidden; ++j) {
      g.w2[i * hidden + j] += dy[i] * h[j];
      dh[j] += p.w2[i * hidden + j] * dy[i];
    }
  }
  for (int i = 0; i < hidden; ++i) {
    if (h[i] <= 0) continue;
    g.b1[i] += dh[i];
    for (int j = 0; j < inputs; ++j) g.w1[i * inputs + j] += dh[i] * x[j];
  }
}

// Mean squared error of a batch, and its gradients.
static float train_batch(Tensors p, Tensors g, Tensors teacher, unsigned* state) {
  float loss = 0;
  for (int b = 0; b < batch; ++b) {
    float x[inputs], h[hidden], y[outputs], wanted[outputs];
    for (int j = 0; j < inputs; ++j) x[j] = random_number(state, 1.0f);
    forward(teacher, x, h, wanted);
    forward(p, x, h, y);
    for (int i = 0; i < outputs; ++i) {
      const float error = y[i] - wanted[i];
      loss += error * error / (batch * outputs);
      y[i] = 2 * error / (batch * outputs);
    }
    backward(p, g, x, h, y);
  }
  return loss;
}

int main(int argc, char** argv) {
  Tensors p, g, teacher;
  float* parameters = allocate_tensors(&p);
  float* gradients = allocate_tensors(&g);
  float* teacher_parameters = allocate_tensors(&teacher);
  fill_weights(p, 1);
  fill_weights(teacher, 2);

  float first_loss = 0, loss = 0;
  Kokkos::initialize(argc, argv);
  {
    using Exec = Kokkos::DefaultHostExecutionSpace;
    Exec exec;
    schatten::Optimizer<float, Exec> optimizer;
    const double lr = 0.05;
    auto matrices = optimizer.add_group(schatten::HTMuonOptions{.lr = lr, .weight_decay = 0.0});
    auto biases = optimizer.add_group(schatten::AdamWOptions{.lr = 0.003, .weight_decay = 0.0});
    optimizer.add(matrices, "w1", schatten::matrix_view(p.w1, hidden, inputs),
                  schatten::matrix_view(g.w1, hidden, inputs));
    optimizer.add(matrices, "w2", schatten::matrix_view(p.w2, outputs, hidden),
                  schatten::matrix_view(g.w2, outputs, hidden));
    optimizer.add(biases, "b1", schatten::matrix_view(p.b1, 1, hidden), schatten::matrix_view(g.b1, 1, hidden));
    optimizer.add(biases, "b2", schatten::matrix_view(p.b2, 1, outputs), schatten::matrix_view(g.b2, 1, outputs));

    unsigned state = 3;
    for (int step = 0; step <= steps; ++step) {
      memset(gradients, 0, tensors_size * sizeof(float));
      loss = train_batch(p, g, teacher, &state);
      if (step == 0) first_loss = loss;
      if (step % 40 == 0) printf("step %3d  loss %.5f\n", step, double(loss));
      optimizer.set_lr(matrices, lr * (1.0 - double(step) / (steps + 1)));
      optimizer.step(exec);
      exec.fence();
    }
  }
  Kokkos::finalize();
  free(parameters);
  free(gradients);
  free(teacher_parameters);
  return loss < 0.1f * first_loss ? 0 : 1;
}
