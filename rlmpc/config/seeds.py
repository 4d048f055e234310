"""Seeds: what is accepted, and what every process of a run makes of it."""

from __future__ import annotations

from rlmpc.errors import UserError

MAX_PROCESS_SEED = 2**32 - 1
"""Largest seed that NumPy's generator and Lightning's `seed_everything` take."""
MAX_PROCESSES = 64
"""Processes of a run that can have random numbers of their own."""
MAX_SEED = (MAX_PROCESS_SEED + 1) // MAX_PROCESSES - 1
"""Largest seed of a run: 2^26 - 1."""


def process_seed(seed: int, rank: int, num_processes: int) -> int:
    """Return the seed of one process of a run; no other pair of seed and rank gives it. Rank 0 takes the run's own.

    Args:
        seed: the run's, 0 to `MAX_SEED`.
        rank: index of the process, 0 to `num_processes - 1`.
        num_processes: number of processes of the run.

    Raises:
        UserError: if there are more than `MAX_PROCESSES`.
    """
    if num_processes > MAX_PROCESSES:
        raise UserError(
            f"trainer.devices x trainer.num_nodes = {num_processes} processes; at most {MAX_PROCESSES} have random "
            "numbers of their own"
        )
    return rank * (MAX_SEED + 1) + seed
