"""The policies under `pretrained/`: each can be read and played, and its card says what the file holds.

If one fails because a contract has changed, train and publish it anew: `python play.py ckpt=PATH publish=FOLDER`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import play
from rlmpc.algorithms.restore import restore_policy
from rlmpc.checkpoint.find import find_checkpoint
from rlmpc.play.card import identity, training

ROOT = Path(__file__).resolve().parents[1] / "pretrained"
POLICIES = {
    "blind_rl/teacher": ("blind_rl_practice", "ppo"),
    "blind_rl/student": ("blind_rl_practice", "student"),
    "phase_1_scan_rl": ("phase_1_scan_rl_practice", "rma"),
}
MAX_BYTES = 6 * 2**20
SHORT = ["terrains=[stairs_up]", "levels=[0]", "command=[0.4,0,0]", "steps=5", "run.dir=results"]


def test_every_published_policy_is_listed_here():
    assert {str(path.parent.relative_to(ROOT)) for path in ROOT.rglob("*.ckpt")} == set(POLICIES)


@pytest.mark.parametrize("name", POLICIES)
def test_a_published_policy_is_the_one_that_its_card_describes(name: str):
    checkpoint = find_checkpoint(str(ROOT / name), ROOT)
    assert (checkpoint.config["task"]["name"], checkpoint.algorithm) == POLICIES[name]
    assert checkpoint.path.stat().st_size <= MAX_BYTES
    card = " ".join(checkpoint.path.with_name("README.md").read_text().split())
    for line in identity(checkpoint, restore_policy(checkpoint).acting_groups) + training(checkpoint):
        assert line.strip() in card
    # What the task's own file says is no override.
    assert " env." not in card
    assert f" python play.py ckpt=pretrained/{name} " in card


@pytest.mark.parametrize("name", ["blind_rl/student", "phase_1_scan_rl"])
def test_what_a_robot_can_sense_is_enough_to_walk_in_mujoco(command, name: str):
    code, _, _ = command(play.main, f"ckpt={ROOT / name}", "backend=mujoco", *SHORT)
    assert code == 0
    with Path("results/evaluation.csv").open() as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["time_out"]
