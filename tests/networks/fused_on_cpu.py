"""Runs the kernels of hidden layers by Triton's interpreter and prints how far they are from torch."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Triton asks for it when it is imported, which torch may do.
os.environ["TRITON_INTERPRET"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch.nn.functional import elu

from rlmpc.networks.fused import biased_elu


def main(num_rows: int, width: int, is_broken: bool = False) -> None:
    """Print the largest differences of results and gradients, and which are finite."""
    torch.manual_seed(0)
    x, weight = torch.randn(num_rows, 5), torch.randn(5, width, requires_grad=True)
    bias = torch.randn(width, requires_grad=True)
    if is_broken:
        x[0] = torch.nan
    gradient = torch.randn(num_rows, width)
    results = []
    for result in (biased_elu(x @ weight, bias), elu(x @ weight + bias)):
        results.append((result.detach(), *torch.autograd.grad((gradient * result).sum(), (weight, bias))))
    pairs = list(zip(*results, strict=True))
    line = {
        "differences": [float((one - other).nan_to_num().abs().max()) for one, other in pairs],
        "is_finite": [bool(other.isfinite().all()) for _, other in pairs],
        "is_finite_alike": all(torch.equal(one.isfinite(), other.isfinite()) for one, other in pairs),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main(300, 70)
    main(256, 128)
    main(3, 8)
    main(40, 16, is_broken=True)
