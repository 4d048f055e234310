import pytest

from rlmpc.config.setting import check_settings
from rlmpc.errors import UserError
from rlmpc.mpc.predictive import Predictive
from rlmpc.mpc.settings import MpcSettings


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"horizon": 0}, "'horizon' must be at least 1, not 0"),
        ({"horizon": 1000}, "'horizon' must be at most 40, not 1000"),
        ({"step_s": -0.1}, "'step_s' must be above 0, not -0.1"),
        ({"velocity_weights": [1.0, 0.0, 1.0]}, "every entry of 'velocity_weights' must be above 0, not 0.0"),
        (
            {"orientation_weights": [1.0, -2.0, 1.0]},
            "every entry of 'orientation_weights' must be at least 0, not -2.0",
        ),
        ({"force_weight": float("nan")}, "'force_weight' must be finite, not nan"),
        ({"solver": "adm"}, "unknown 'solver' 'adm'; accepted: admm, closed_form; did you mean 'admm'?"),
    ],
)
def test_settings_out_of_range_are_refused(changed, sentence):
    with pytest.raises(UserError) as error:
        check_settings(MpcSettings(**changed))
    assert str(error.value) == sentence


def test_weights_that_are_not_one_an_axis_are_refused():
    with pytest.raises(UserError, match=r"'position_weights' must be three numbers, for x, y and z, not \[1.0, 2.0\]"):
        MpcSettings(position_weights=[1.0, 2.0]).check()


def test_the_controller_is_not_made_of_settings_that_are_refused():
    from benchmarks.mpc_problems import G1

    for bad in (MpcSettings(iterations=0), MpcSettings(angular_velocity_weights=[1.0])):
        with pytest.raises(UserError):
            Predictive(G1, bad, 1, "cpu")
