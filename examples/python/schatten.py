# SPDX-License-Identifier: BSD-3-Clause
"""The rules as a torch.optim.Optimizer, through the C interface and ctypes.

Parameters in host memory are stepped where they lie. Those elsewhere (a GPU's) are stepped in host memory: gradients
are copied in, and weights out. State and float master copies stay on the host. SCHATTEN_LIBRARY names the shared
library.
"""

import ctypes as c
import os

import torch

TYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}


class Number(c.Structure):
    _fields_ = [("name", c.c_char_p), ("value", c.c_double)]


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("type", c.c_int), ("rank", c.c_size_t), ("shape", c.c_size_t * 4),
                ("stride", c.POINTER(c.c_size_t))]


library = c.CDLL(os.environ.get("SCHATTEN_LIBRARY", "libschatten_c_api.so"))
library.schatten_last_error.restype = c.c_char_p


def call(name, *arguments):
    if getattr(library, "schatten_" + name)(*arguments) != 0:
        raise ValueError(library.schatten_last_error().decode())


def tensor(t, what):
    if t.device.type != "cpu" or t.layout != torch.strided or t.dtype not in TYPES or t.dim() > 4:
        raise ValueError(f"{what}: a tensor on {t.device}, {t.layout}, {t.dtype}, of rank {t.dim()}")
    shape, stride = tuple(t.shape) or (1,), t.stride() or (1,)
    return Tensor(t.data_ptr(), TYPES[t.dtype], len(shape), (c.c_size_t * 4)(*shape), (c.c_size_t * 4)(*stride))


class Schatten(torch.optim.Optimizer):
    """Schatten(params, rule="htmuon", lr=0.02, power=0.125, ...): any rule and its numbers, per group too."""

    def __init__(self, params, rule="htmuon", threads=0, row_blocks=1, **numbers):
        self.handle, self.ids, self.kept = c.c_uint64(), [], {}  # kept: host memory and name of each parameter
        call("initialize", c.c_int(threads))
        call("create", c.byref(self.handle))
        super().__init__(params, dict(numbers, rule=rule, row_blocks=row_blocks))

    def __del__(self):
        if self.handle:
            library.schatten_destroy(self.handle)

    def add_param_group(self, group):
        own = {"lr", *group} if "rule" in group else None  # another rule's numbers are not the defaults'
        super().add_param_group(group)
        group, number = self.param_groups[-1], c.c_int()
        names = [k for k, v in group.items()
                 if isinstance(v, (int, float)) and k != "row_blocks" and (own is None or k in own)]
        table = (Number * len(names))(*[(name.encode(), float(group[name])) for name in names])
        try:
            call("add_group", self.handle, group["rule"].encode(), table, c.c_size_t(len(names)), c.byref(number))
            for k, p in enumerate(group["params"]):
                name, host = f"{number.value}.{k}".encode(), p.detach().cpu()  # of host memory: p itself
                self.kept[p] = host, name
                call("add", self.handle, number, name, c.byref(tensor(host, f"parameter {k}")), None,
                     c.c_size_t(group["row_blocks"]))
        except Exception:  # the group has not been there
            for p in self.param_groups.pop()["params"]:
                library.schatten_remove(self.handle, self.kept.pop(p, (None, None))[1])
            raise
        self.ids.append(number)

    @torch.no_grad()
    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        gradients = []  # alive until the step is done
        for group, number in zip(self.param_groups, self.ids):
            if "lr" in group:
                call("set", self.handle, number, b"lr", c.c_double(group["lr"]))
            for p in group["params"]:
                host, name = self.kept[p]
                if p.device.type == "cpu" and p.data_ptr() != host.data_ptr():
                    raise ValueError(f"parameter {name.decode()} is no longer where it was when it was added")
                call("include", self.handle, name, c.c_int(p.grad is not None))
                if p.grad is not None:
                    gradients.append(p.grad.cpu())
                    gradient = tensor(gradients[-1], f"gradient of {name.decode()}")
                    call("set_gradient", self.handle, name, c.byref(gradient))
        call("step", self.handle)
        for p, (host, _) in self.kept.items():
            if p.device.type != "cpu":
                p.copy_(host)
            elif p.grad is not None:
                torch.autograd.graph.increment_version(p)  # autograd refuses graphs that have kept the old values
        return loss

    def state_dict(self, *_):
        raise NotImplementedError("the state is in the library: use save(path) and load(path)")

    load_state_dict = state_dict

    def save(self, path):
        call("save", self.handle, path.encode())

    def load(self, path):
        call("load", self.handle, path.encode())
