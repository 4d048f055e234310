from __future__ import annotations

import matplotlib.image
from optuna.trial import TrialState

from rlmpc.sweep.report import counts, plot
from rlmpc.sweep.space import read_space
from tests.sweep.conftest import SPACE


def test_the_plot_has_a_panel_for_the_order_and_for_every_setting(opened, tmp_path):
    study, queue = opened()
    for value in (1.0, 3.0):
        queue.finish(queue.next(), TrialState.COMPLETE, value)
    pruned = queue.next()
    pruned.trial.report(0.5, step=3)
    queue.finish(pruned, TrialState.PRUNED)
    running = queue.next()
    assert counts(study) == "2 complete, 1 pruned, 1 unfinished"
    plot(tmp_path / "sweep.png", study, read_space(SPACE), "episode/return")
    height, width, _ = matplotlib.image.imread(tmp_path / "sweep.png").shape
    assert width > 2.5 * height
    queue.leave(running)
