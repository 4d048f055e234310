"""What the kernels of Triton share."""

# Kernels of Triton are no Python: pyright cannot read them.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def within(x, low, high):
    """Clip as torch does: what is not a number stays so."""
    above = tl.maximum(x, low, propagate_nan=tl.PropagateNan.ALL)
    return tl.minimum(above, high, propagate_nan=tl.PropagateNan.ALL)
