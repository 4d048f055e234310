"""The table of algorithms; a new one needs a folder, a file under `conf/agent`, and a line here."""

from __future__ import annotations

from rlmpc.algorithms.finetune import FINETUNE
from rlmpc.algorithms.ppo import PPO
from rlmpc.algorithms.rma import RMA
from rlmpc.algorithms.student import STUDENT

ALGORITHMS = {algorithm.name: algorithm for algorithm in (PPO, RMA, STUDENT, FINETUNE)}
"""Every algorithm by name."""
