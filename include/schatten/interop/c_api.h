/* SPDX-License-Identifier: BSD-3-Clause */
/* The C interface: optimizers over the caller's host memory, for C, ctypes, and any language that calls C.
 *
 * Link schatten::c_api (CMake), a shared library. Every function returns a schatten_status; none lets an exception out
 * or ends the process. A call that fails has changed nothing, and schatten_last_error says which argument it refused.
 * State and arithmetic are in float. Calls are serialised; with Kokkos before version 4 they must all come from one
 * thread.
 */
#ifndef SCHATTEN_INTEROP_C_API_H
#define SCHATTEN_INTEROP_C_API_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SCHATTEN_C_API
#else
#define SCHATTEN_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum schatten_status {
  SCHATTEN_OK = 0,
  SCHATTEN_INVALID_ARGUMENT =
      1,                   /* a closed handle, null, a number out of range, an unknown name, memory that overlaps */
  SCHATTEN_FILE_ERROR = 2, /* a checkpoint that cannot be read or written, or that is of something else */
  SCHATTEN_NUMERICAL_ERROR = 3, /* a decomposition that did not converge */
  SCHATTEN_OUT_OF_MEMORY = 4,
  SCHATTEN_INTERNAL_ERROR = 5
} schatten_status;

/* How elements lie in memory. float16 is IEEE binary16. */
typedef enum schatten_type {
  SCHATTEN_FLOAT32 = 0,
  SCHATTEN_FLOAT64 = 1, /* gradients only */
  SCHATTEN_FLOAT16 = 2,
  SCHATTEN_BFLOAT16 = 3
} schatten_type;

/* An optimizer. 0 is none; a number that was closed is never given again. */
typedef uint64_t schatten_optimizer;

/* Why the last call of this thread that failed did so, one sentence; "" before the first. Valid until the next
 * failure. */
SCHATTEN_C_API const char* schatten_last_error(void);

/* Starts Kokkos on this many host threads, 0: as many as OpenMP would take. schatten_create does it where nobody has.
 * No effect where Kokkos runs already. The host's own number of OpenMP threads stays as it is. */
SCHATTEN_C_API schatten_status schatten_initialize(int threads);
/* Closes all optimizers, and ends Kokkos if this library started it; it cannot be started again. */
SCHATTEN_C_API schatten_status schatten_finalize(void);

/* The names of the rules: "adam" for 0, …; null after the last. */
SCHATTEN_C_API const char* schatten_rule_name(size_t index);

SCHATTEN_C_API schatten_status schatten_create(schatten_optimizer* optimizer);
/* Forgets the optimizer and its state. The weights stay. */
SCHATTEN_C_API schatten_status schatten_destroy(schatten_optimizer optimizer);

/* A number of a rule by name, as docs/rules has them: "lr", "power", …; enumerators and flags as integers. */
typedef struct schatten_number {
  const char* name;
  double value;
} schatten_number;

/* Adds a group that runs a rule, with these numbers in place of its defaults. *group: its number in what follows. */
SCHATTEN_C_API schatten_status schatten_add_group(schatten_optimizer optimizer, const char* rule,
                                                  const schatten_number* numbers, size_t count, int* group);
/* Sets a number from the next step on. */
SCHATTEN_C_API schatten_status schatten_set(schatten_optimizer optimizer, int group, const char* name, double value);
SCHATTEN_C_API schatten_status schatten_get(schatten_optimizer optimizer, int group, const char* name, double* value);

/* Memory of the caller: element (i, j, …) is number i·stride[0] + j·stride[1] + … from data on. */
typedef struct schatten_tensor {
  void* data;
  int type; /* a schatten_type */
  size_t rank; /* 1: a vector; 2: a matrix; 3: (matrices, rows, cols); 4: (out, in, height, width) */
  size_t shape[4];
  const size_t* stride; /* in elements; null: contiguous, row-major */
} schatten_tensor;

/* Registers a parameter, which the optimizer steps where it lies. gradient: null where there is none yet. row_blocks:
 * how many matrices of equal size are stacked in each, 1 or 0 for one. A weight of 16 bits is stepped through a float
 * copy. */
SCHATTEN_C_API schatten_status schatten_add(schatten_optimizer optimizer, int group, const char* name,
                                            const schatten_tensor* weight, const schatten_tensor* gradient,
                                            size_t row_blocks);
/* Gives a parameter another gradient, of the same shape. */
SCHATTEN_C_API schatten_status schatten_set_gradient(schatten_optimizer optimizer, const char* name,
                                                     const schatten_tensor* gradient);
/* Gives a parameter's rule what it needs beside the gradient, before the step that uses it: sophia_g the gradient of a
 * loss with sampled labels, newton_muon the layer's inputs (samples, columns of the weight). x may change after the
 * call. */
SCHATTEN_C_API schatten_status schatten_observe(schatten_optimizer optimizer, const char* name,
                                                const schatten_tensor* x);
/* Leaves a parameter out of the steps (included = 0), or takes it in again. */
SCHATTEN_C_API schatten_status schatten_include(schatten_optimizer optimizer, const char* name, int included);
/* Forgets a parameter and its state. */
SCHATTEN_C_API schatten_status schatten_remove(schatten_optimizer optimizer, const char* name);

/* A flat array that holds many tensors. */
typedef struct schatten_buffer {
  void* data;
  size_t size; /* in elements */
  int type; /* a schatten_type */
} schatten_buffer;

/* Where one of them is: contiguous, row-major. */
typedef struct schatten_entry {
  const char* name;
  int group;
  size_t rank;
  size_t shape[4];
  size_t weight_offset;   /* in elements of the weights' buffer */
  size_t gradient_offset; /* in elements of the gradients' buffer */
  size_t row_blocks;
} schatten_entry;

/* Registers all entries of a table, or none. Entries must not overlap. */
SCHATTEN_C_API schatten_status schatten_add_table(schatten_optimizer optimizer, const schatten_buffer* weights,
                                                  const schatten_buffer* gradients, const schatten_entry* table,
                                                  size_t count);

/* One step of every parameter. Returns when the weights are written. A matrix with a NaN or an infinity in its gradient
 * is left out and counted. */
SCHATTEN_C_API schatten_status schatten_step(schatten_optimizer optimizer);
/* How many steps of single matrices were left out so far. */
SCHATTEN_C_API schatten_status schatten_skipped_steps(schatten_optimizer optimizer, long long* count);

/* Weights, state and numbers to a safetensors file, written atomically, and back: docs/checkpoints.md. */
SCHATTEN_C_API schatten_status schatten_save(schatten_optimizer optimizer, const char* path);
SCHATTEN_C_API schatten_status schatten_load(schatten_optimizer optimizer, const char* path);

#ifdef __cplusplus
}
#endif

#endif
