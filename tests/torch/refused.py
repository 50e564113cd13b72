# SPDX-License-Identifier: BSD-3-Clause
"""What the Python example refuses: the message names the argument, and no weight has moved.

SCHATTEN_LIBRARY=<path of libschatten_c_api.so> PYTHONPATH=examples/python python refused.py
"""

import ctypes

import torch

import schatten
from schatten import Schatten

failures = 0


def expect(holds, what):
    global failures
    print(("ok    " if holds else "FAILED"), what)
    failures += not holds


def refused(words, call, weights=()):
    before, message = [w.detach().clone() for w in weights], "nothing was raised"
    try:
        call()
    except (ValueError, RuntimeError) as error:
        message = str(error)
    expect(words in message, f'refused with "{words}": {message}')
    expect(all(torch.equal(w, b) for w, b in zip(weights, before)), "and no weight has moved")


def matrix(dtype=torch.float32):
    w = torch.nn.Parameter(torch.ones(4, 3, dtype=dtype))
    w.grad = torch.ones_like(w)
    return w


w = matrix()
optimizer = Schatten([w], lr=0.1)
for words, parameter in {
    "meta tensor": torch.nn.Parameter(torch.ones(4, 3, device="meta")),
    "torch.sparse_coo": torch.nn.Parameter(torch.eye(3).to_sparse()),
    "torch.int32": torch.nn.Parameter(torch.ones(4, 3, dtype=torch.int32), requires_grad=False),
    "SCHATTEN_FLOAT64": matrix(torch.float64),
    "must not overlap itself": torch.nn.Parameter(torch.ones(1, 3).expand(4, 3)),
    "of rank 5": torch.nn.Parameter(torch.ones(1, 1, 1, 2, 2)),
    "at least 2": torch.nn.Parameter(torch.ones(4)),  # a vector under a rule for matrices
}.items():
    refused(words, lambda: optimizer.add_param_group({"params": [matrix(), parameter]}), [w])
refused("name = beta9", lambda: optimizer.add_param_group({"params": [matrix()], "rule": "adamw", "beta9": 1.0}), [w])
refused("rule = lbfgs", lambda: optimizer.add_param_group({"params": [matrix()], "rule": "lbfgs"}), [w])
expect(len(optimizer.param_groups) == 1 and len(optimizer.kept) == 1, "what was refused has left nothing behind")

table = torch.nn.Embedding(4, 3, sparse=True)
optimizer.add_param_group({"params": table.parameters()})
table(torch.tensor([1])).sum().backward()
refused("gradient of", optimizer.step, [w, table.weight])
table.weight.grad = None
optimizer.param_groups[0]["lr"] = -1.0
refused("lr = -1", optimizer.step, [w, table.weight])
optimizer.param_groups[0]["lr"] = 0.1
optimizer.step()
expect(not torch.equal(w, torch.ones(4, 3)), "after that the step is taken")

before = w.square().sum()
optimizer.step()
refused("modified by an inplace operation", before.backward, [w])

refused("save(path)", optimizer.state_dict)
refused("load(path)", lambda: optimizer.load_state_dict({}), [w])
there = w.data
w.data = there.clone()
refused("0.0 is no longer where it was", optimizer.step, [w, there])
w.data = there

closed = ctypes.c_uint64(optimizer.handle.value)
schatten.library.schatten_destroy(closed)
optimizer.handle = ctypes.c_uint64(0)
refused("optimizer = ", lambda: schatten.call("step", closed), [w])
print(f"{failures} failed")
raise SystemExit(failures != 0)
