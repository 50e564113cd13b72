# SPDX-License-Identifier: BSD-3-Clause
"""A hundred steps of one model with torch.optim.Muon, and with Muon and HTMuon of this library; then the offload case:
bfloat16 weights and gradients, float master copies and state in host memory.

SCHATTEN_LIBRARY=<path of libschatten_c_api.so> python compare.py [steps]
"""

import statistics
import sys
import time

import torch

from schatten import Schatten

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
WIDTH, CLASSES, BATCH, LAYERS = 256, 32, 128, 4


def make_model(dtype):
    torch.manual_seed(0)
    layers = []
    for _ in range(LAYERS):
        layers += [torch.nn.Linear(WIDTH, WIDTH), torch.nn.GELU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, CLASSES)).to(dtype)


def batches(dtype):
    generator = torch.Generator().manual_seed(1)
    teacher = torch.randn(WIDTH, CLASSES, generator=generator)
    for _ in range(STEPS):
        x = torch.randn(BATCH, WIDTH, generator=generator)
        yield x.to(dtype), (torch.tanh(x) @ teacher).argmax(1)


def train(name, dtype, make_optimizer):
    model = make_model(dtype)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    optimizer = make_optimizer(matrices)
    biases = torch.optim.AdamW([p for p in model.parameters() if p.dim() != 2], lr=1e-3)
    in_steps, losses, start = [], [], time.perf_counter()
    for x, y in batches(dtype):
        loss = torch.nn.functional.cross_entropy(model(x).float(), y)
        optimizer.zero_grad()
        biases.zero_grad()
        loss.backward()
        biases.step()
        before = time.perf_counter()
        optimizer.step()
        in_steps.append(time.perf_counter() - before)
        losses.append(loss.item())
    last = sum(losses[-10:]) / len(losses[-10:])
    print(f"{name:38s} loss {losses[0]:.3f} -> {last:.3f}   {time.perf_counter() - start:6.2f} s, "
          f"step() {1e3 * statistics.median(in_steps):6.2f} ms (median)")


def muon(numbers):
    return lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0.0, **numbers)


def ours(rule):
    return lambda p: Schatten(p, rule=rule, threads=torch.get_num_threads(), lr=0.02, weight_decay=0.0)


print(f"{LAYERS + 1} layers of {WIDTH}, batches of {BATCH}, {STEPS} steps, {torch.get_num_threads()} threads, "
      f"torch {torch.__version__}")
train("torch.optim.Muon", torch.float32, muon({}))
train("muon", torch.float32, ours("muon"))
train("htmuon", torch.float32, ours("htmuon"))
print("bfloat16 weights and gradients; ours with float master copies in host memory")
train("torch.optim.Muon", torch.bfloat16, muon({}))
train("muon", torch.bfloat16, ours("muon"))
train("htmuon", torch.bfloat16, ours("htmuon"))
