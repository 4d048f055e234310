"""Kernels of a GPU, run by Triton's interpreter on the CPU, give the losses and gradients of torch."""

from __future__ import annotations

from tests.interpreter import NEEDS_TRITON, interpreted


@NEEDS_TRITON
def test_kernels_give_losses_and_gradients_of_torch_and_what_is_not_a_number_stays_so():
    *sound, broken = interpreted(__file__)
    for found in (*sound, broken):
        assert found["is_finite_alike"]
        assert max(found["differences"]) < 1e-5
    assert all(all(found["is_finite"]) for found in sound)
    assert broken["is_finite"] == [False] * 4
