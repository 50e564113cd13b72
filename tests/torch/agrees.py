# SPDX-License-Identifier: BSD-3-Clause
"""The Python example beside torch.optim.Muon, beside the same rule in double, and its 16-bit weights beside float ones.

SCHATTEN_LIBRARY=<path of libschatten_c_api.so> PYTHONPATH=examples/python python agrees.py
"""

import torch

from schatten import Schatten

STEPS, LR, DECAY, MOMENTUM = 20, 0.02, 0.1, 0.95
SHAPES = [(48, 32), (32, 48), (40, 40)]
# HTMuon's struct at p = 0 with the quintics is Muon: the library may have been built with few rules.
RULES = {"muon": {}, "htmuon": {"power": 0.0, "method": 3, "tolerance": 2.0}}
failures = 0


def expect(holds, what):
    global failures
    print(("ok    " if holds else "FAILED"), what)
    failures += not holds


def weights(dtype):
    torch.manual_seed(0)
    return [torch.nn.Parameter((0.1 * torch.randn(shape)).to(torch.bfloat16).to(dtype)) for shape in SHAPES]


def gradients():
    generator = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        yield [torch.randn(shape, generator=generator).to(torch.bfloat16) for shape in SHAPES]


def run(dtype, make):
    w = weights(dtype)
    optimizer = make(w)
    for step in gradients():
        for p, g in zip(w, step):
            p.grad = g.to(dtype)
        optimizer.step()
    return [p.detach().double() for p in w]


def in_double():
    w = [p.detach().double() for p in weights(torch.float64)]
    momenta = [torch.zeros_like(p) for p in w]
    for step in gradients():
        for p, m, g in zip(w, momenta, step):
            m.lerp_(g.double(), 1 - MOMENTUM)
            x = torch.lerp(g.double(), m, MOMENTUM)
            turned = x.shape[0] > x.shape[1]
            x = (x.T if turned else x) / x.norm()
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = x.T if turned else x
            p.mul_(1 - LR * DECAY).sub_(LR * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 * x)
    return w


def difference(a, b):
    """Of the movements, relative to that of b, Frobenius norms."""
    start = [p.detach().double() for p in weights(torch.float64)]
    return max(float((x - y).norm() / (y - s).norm()) for x, y, s in zip(a, b, start))


def ours(rule):
    return lambda w: Schatten(w, rule=rule, threads=1, lr=LR, weight_decay=DECAY, momentum=MOMENTUM, **RULES[rule])


exact = in_double()
theirs = run(torch.float32, lambda w: torch.optim.Muon(w, lr=LR, weight_decay=DECAY, momentum=MOMENTUM))
torchs = difference(theirs, exact)
known = False
for rule in RULES:
    try:
        single = run(torch.float32, ours(rule))
    except ValueError as error:
        print("skip  ", error)
        continue
    known = True
    off = difference(single, exact)
    expect(off <= 1e-5, f"{rule} in float beside Muon in double, {STEPS} steps: {off:.1e} of the movement")
    off = difference(single, theirs)
    expect(off <= 1.5 * torchs,
           f"{rule} beside torch.optim.Muon: {off:.1e}; torch's own error, quintics in bfloat16, is {torchs:.1e}")
    half = run(torch.bfloat16, ours(rule))
    rounded = all(torch.equal(h, s.to(torch.bfloat16).double()) for h, s in zip(half, single))
    expect(rounded, f"{rule} with bfloat16 weights and gradients: the float master copies, rounded")
expect(known, "the library has Muon or HTMuon")
raise SystemExit(failures != 0)
