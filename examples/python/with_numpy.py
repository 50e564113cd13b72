# SPDX-License-Identifier: BSD-3-Clause
"""Arrays of NumPy, trained through the C interface by ctypes. SCHATTEN_LIBRARY names the shared library."""

import ctypes as c
import os

import numpy as np


class Tensor(c.Structure):
    """schatten_tensor of interop/c_api.h."""
    _fields_ = [("data", c.c_void_p), ("type", c.c_int), ("rank", c.c_size_t), ("shape", c.c_size_t * 4),
                ("stride", c.POINTER(c.c_size_t))]


library = c.CDLL(os.environ.get("SCHATTEN_LIBRARY", "libschatten_c_api.so"))
library.schatten_last_error.restype = c.c_char_p


def call(name, *arguments):
    if getattr(library, "schatten_" + name)(*arguments) != 0:
        raise ValueError(library.schatten_last_error().decode())


def tensor(array):
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        raise ValueError("arrays must be float32 and contiguous by rows")
    return c.byref(Tensor(array.ctypes.data, 0, array.ndim, (c.c_size_t * 4)(*array.shape), None))


W = np.random.default_rng(0).standard_normal((64, 32), dtype=np.float32)
G = np.empty_like(W)
T = np.ones_like(W)

optimizer, group = c.c_uint64(), c.c_int()
call("create", c.byref(optimizer))
call("add_group", optimizer, b"htmuon", None, c.c_size_t(0), c.byref(group))
call("set", optimizer, group, b"weight_decay", c.c_double(0))
call("add", optimizer, group, b"W", tensor(W), tensor(G), c.c_size_t(1))

before, steps = np.linalg.norm(W - T), 100
for step in range(steps):
    G[:] = W - T  # in place: the library keeps the addresses of W and G
    call("set", optimizer, group, b"lr", c.c_double(0.5 * (1 - step / steps)))
    call("step", optimizer)
after = np.linalg.norm(W - T)
print(f"norm of W - T: {before:.3f} -> {after:.3f}")
assert after < 0.1 * before
