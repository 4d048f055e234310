from dataclasses import replace

import pytest

from benchmarks.mpc_problems import G1
from rlmpc.errors import UserError


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"mass": -1.0}, "'mass' of the body must be a positive number, not -1.0"),
        ({"sole_half_width": float("nan")}, "'sole_half_width' of the body must be a positive number, not nan"),
        ({"inertia": ((1.0, 0.0), (0.0, 1.0))}, "'inertia' of the body must be symmetric and positive definite"),
        ({"inertia": ((1.0, 2.0, 0.0), (2.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "symmetric and positive definite"),
        ({"inertia": ((1.0, 0.1, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))}, "symmetric and positive definite"),
    ],
)
def test_what_is_no_body_is_refused(changed, sentence):
    with pytest.raises(UserError, match=sentence):
        replace(G1, **changed)
