/* SPDX-License-Identifier: BSD-3-Clause */
/* The C interface: optimizers of weights in the caller's host memory, for C, ctypes, and any language that calls C.
 *
 * Link schatten::c_api (CMake), a shared library. Functions that can fail return a schatten_status. No exception leaves
 * a function, and no function ends the process. A call that fails changes nothing; schatten_last_error then returns a
 * message with the argument. State and arithmetic are in float. Calls are serialized. With Kokkos before version 4 all
 * calls must come from one thread.
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
  SCHATTEN_FILE_ERROR = 2, /* a file that cannot be read or written, or a checkpoint of another optimizer */
  SCHATTEN_NUMERICAL_ERROR = 3, /* a decomposition that did not converge */
  SCHATTEN_OUT_OF_MEMORY = 4,
  SCHATTEN_INTERNAL_ERROR = 5
} schatten_status;

/* Element types. float16 is IEEE binary16. */
typedef enum schatten_type {
  SCHATTEN_FLOAT32 = 0,
  SCHATTEN_FLOAT64 = 1, /* gradients only */
  SCHATTEN_FLOAT16 = 2,
  SCHATTEN_BFLOAT16 = 3
} schatten_type;

/* The handle of an optimizer. 0 is no optimizer. The handle of a closed optimizer is never used again. */
typedef uint64_t schatten_optimizer;

/* Returns the message of the last call of this thread that failed, one sentence; "" before the first failure. Valid
 * until the next failure. */
SCHATTEN_C_API const char* schatten_last_error(void);

/* Initializes Kokkos with this number of host threads; 0: OpenMP's default. If Kokkos is not initialized,
 * schatten_create calls this function. It has no effect if Kokkos is initialized. The program's own number of OpenMP
 * threads does not change. */
SCHATTEN_C_API schatten_status schatten_initialize(int threads);
/* Closes all optimizers, and finalizes Kokkos if this library has initialized it. Kokkos cannot be initialized
 * again. */
SCHATTEN_C_API schatten_status schatten_finalize(void);

/* Returns the name of rule number index, such as "adam" for 0; null after the last. */
SCHATTEN_C_API const char* schatten_rule_name(size_t index);

/* Creates an optimizer without groups. *optimizer: its handle. */
SCHATTEN_C_API schatten_status schatten_create(schatten_optimizer* optimizer);
/* Closes the optimizer and frees its state. The weights do not change. */
SCHATTEN_C_API schatten_status schatten_destroy(schatten_optimizer optimizer);

/* A number of a rule by its name in docs/rules: "lr", "power", …. Enumerators and flags are integers. */
typedef struct schatten_number {
  const char* name;
  double value;
} schatten_number;

/* Adds a group with a rule and these numbers; others have the rule's defaults. *group: the number of the group. */
SCHATTEN_C_API schatten_status schatten_add_group(schatten_optimizer optimizer, const char* rule,
                                                  const schatten_number* numbers, size_t count, int* group);
/* Sets a number of the group, valid from the next step on. */
SCHATTEN_C_API schatten_status schatten_set(schatten_optimizer optimizer, int group, const char* name, double value);
/* *value: the number of that name. */
SCHATTEN_C_API schatten_status schatten_get(schatten_optimizer optimizer, int group, const char* name, double* value);

/* A tensor in the caller's memory. Element (i, j, …) has the offset i·stride[0] + j·stride[1] + … from data. */
typedef struct schatten_tensor {
  void* data;
  int type;    /* a schatten_type */
  size_t rank; /* 1: a vector; 2: a matrix; 3: (matrices, rows, cols); 4: (out, in, height, width) */
  size_t shape[4];
  const size_t* stride; /* in elements; null: contiguous, row-major */
} schatten_tensor;

/* Registers a parameter; steps update it in place. The memory must exist as long as the parameter is registered.
 * gradient: null if there is none yet. row_blocks: number of matrices of equal size that are stacked in each; 1 or 0
 * for one. A weight of 16 bits has a float master copy. */
SCHATTEN_C_API schatten_status schatten_add(schatten_optimizer optimizer, int group, const char* name,
                                            const schatten_tensor* weight, const schatten_tensor* gradient,
                                            size_t row_blocks);
/* Sets or replaces a parameter's gradient, with the same shape. */
SCHATTEN_C_API schatten_status schatten_set_gradient(schatten_optimizer optimizer, const char* name,
                                                     const schatten_tensor* gradient);
/* Gives a parameter's rule an array that it needs beside the gradient, before the step that uses it. sophia_g needs the
 * gradient of a loss with sampled labels, newton_muon the layer's inputs (samples, columns of the weight). The program
 * may change x after the call. */
SCHATTEN_C_API schatten_status schatten_observe(schatten_optimizer optimizer, const char* name,
                                                const schatten_tensor* x);
/* included = 0: steps leave the parameter out; its weight, state and counts do not change. Otherwise: steps include it
 * again. */
SCHATTEN_C_API schatten_status schatten_include(schatten_optimizer optimizer, const char* name, int included);
/* Removes a parameter and its state. */
SCHATTEN_C_API schatten_status schatten_remove(schatten_optimizer optimizer, const char* name);

/* A flat array with many tensors. */
typedef struct schatten_buffer {
  void* data;
  size_t size; /* in elements */
  int type;    /* a schatten_type */
} schatten_buffer;

/* A tensor of a flat array: contiguous, row-major. */
typedef struct schatten_entry {
  const char* name;
  int group;
  size_t rank;
  size_t shape[4];
  size_t weight_offset;   /* in elements of the weights' buffer */
  size_t gradient_offset; /* in elements of the gradients' buffer */
  size_t row_blocks;
} schatten_entry;

/* Registers all entries of a table, or none if one is refused. Entries must not overlap. */
SCHATTEN_C_API schatten_status schatten_add_table(schatten_optimizer optimizer, const schatten_buffer* weights,
                                                  const schatten_buffer* gradients, const schatten_entry* table,
                                                  size_t count);

/* One step of every parameter. Returns when the weights are written. A matrix with a NaN or an infinity in its gradient
 * is skipped. */
SCHATTEN_C_API schatten_status schatten_step(schatten_optimizer optimizer);
/* *count: the number of matrix steps that were skipped so far. */
SCHATTEN_C_API schatten_status schatten_skipped_steps(schatten_optimizer optimizer, long long* count);

/* Saves weights, state and numbers to a safetensors file, atomically (docs/checkpoints.md). */
SCHATTEN_C_API schatten_status schatten_save(schatten_optimizer optimizer, const char* path);
/* Loads a file of schatten_save into an optimizer with the same groups and parameters. */
SCHATTEN_C_API schatten_status schatten_load(schatten_optimizer optimizer, const char* path);

#ifdef __cplusplus
}
#endif

#endif
