"""Kernels of a GPU, run by Triton's interpreter on the CPU, do what the solver's torch code does."""

from __future__ import annotations

from tests.interpreter import NEEDS_TRITON, interpreted


@NEEDS_TRITON
def test_kernels_iterate_as_torch_does_and_what_is_not_a_number_stays_so():
    *sound, broken = interpreted(__file__)
    for found in sound:
        assert found["is_finite"] == [True, True]
        assert found["inverse"] < 1e-4
        assert found["iterates"] < 1e-3
    assert broken["is_finite"] == [False, True]
