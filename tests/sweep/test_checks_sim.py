from __future__ import annotations

import pytest

from rlmpc.command_line.files import CONF_DIR
from rlmpc.errors import UserError
from rlmpc.sweep.checks import check_runs
from rlmpc.sweep.settings import read_sweep
from rlmpc.sweep.space import read_space

pytestmark = pytest.mark.sim


def test_settings_of_the_environment_are_checked_before_anything_starts():
    cfg = read_sweep(CONF_DIR / "sweep/blind_rl.yaml")
    check_runs(cfg, read_space(cfg.space))
    misspelt = cfg.space | {"env.rewards.action_rate.wieght": {"float": [-1, 0]}}
    with pytest.raises(UserError, match=r"did you mean 'env\.rewards\.action_rate\.weight'\?"):
        check_runs(cfg, read_space(misspelt))
