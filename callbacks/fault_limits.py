"""Ends a run in which too many numbers are not finite."""

from __future__ import annotations

import lightning as L

from rlmpc.errors import RunError
from rlmpc.learners.report import Report, ReportCallback
from rlmpc.learners.skipped import WINDOW


class FaultLimits(ReportCallback):
    """Stops after an iteration with too many faults, before its checkpoint is written.

    It looks at numbers over all ranks, so that all of them stop. On a GPU the next rollout has begun by then.

    Args:
        max_env_share: share of environments with a fault in one iteration above which the run stops.
        max_skipped_updates: updates skipped in a row, because gradients were not finite, at which the run stops.
        max_skipped_share: share of the latest updates skipped for this reason above which the run stops.
    """

    def __init__(self, max_env_share: float, max_skipped_updates: int, max_skipped_share: float) -> None:
        self.max_env_share = max_env_share
        self.max_skipped_updates = max_skipped_updates
        self.max_skipped_share = max_skipped_share

    def on_report(self, trainer: L.Trainer, report: Report) -> None:
        """Compare the iteration's numbers with the limits.

        Raises:
            RunError: if a limit is reached.
        """
        env_share = report.numbers["fault/envs"]
        skipped = round(report.numbers["fault/skipped_in_a_row"])
        skipped_share = report.numbers["fault/skipped_share"]
        where = f"stopped after iteration {report.iteration + 1}, without saving it; the last checkpoint is kept"
        if env_share > self.max_env_share:
            raise RunError(
                f"{env_share:.1%} of the environments had numbers that are not finite, "
                f"and faults.max_env_share={self.max_env_share} allows {self.max_env_share:.1%}: {where}"
            )
        if skipped >= self.max_skipped_updates:
            raise RunError(
                f"{skipped} updates in a row were skipped for gradients that are not finite, "
                f"and faults.max_skipped_updates={self.max_skipped_updates} is reached: {where}"
            )
        if skipped_share > self.max_skipped_share:
            raise RunError(
                f"{skipped_share:.1%} of the last {WINDOW} updates were skipped for gradients that are not finite, "
                f"and faults.max_skipped_share={self.max_skipped_share} allows {self.max_skipped_share:.1%}: {where}"
            )
