"""Clock, contacts, and when stepping starts and ends."""

from __future__ import annotations

import torch

from rlmpc.mpc.gait import Gait
from rlmpc.mpc.walk_settings import WalkSettings

WALK = WalkSettings()
PERIOD = torch.tensor([WALK.period_s])
NOW, NEVER = torch.tensor([True]), torch.tensor([False])
CENTRED, LEFT = torch.zeros(1, 2), torch.zeros(1)
STANDING = torch.tensor([[170.0, 170.0]])


def gait(phase: float, swinging: tuple[bool, bool] = (False, False)) -> Gait:
    """Return a gait that steps, at this phase."""
    gait = Gait(WALK, 1)
    gait.reset(NOW)
    gait.is_stepping.fill_(True)
    gait.phase.fill_(phase)
    gait.is_swinging.copy_(torch.tensor([swinging]))
    return gait


def run(gait: Gait, seconds: float, force=lambda gait: 340.0 * ~gait.is_swinging, is_wanted=NOW) -> list[list[bool]]:
    """Let the clock run; return which feet swing at each physics step."""
    swings = []
    for _ in range(round(seconds / WALK.physics_dt)):
        gait.decide(is_wanted, CENTRED, LEFT, torch.zeros(1), PERIOD)
        gait.touch(force(gait))
        swings.append(gait.is_swinging[0].tolist())
        gait.advance(torch.zeros(1), PERIOD)
    return swings


def test_feet_swing_in_turn_for_three_sevenths_of_the_cycle_each():
    swings = run(gait(0.0), WALK.period_s, lambda gait: torch.zeros(1, 2).fill_(340.0 * (gait.phase[0] % 0.5 < 0.05)))
    left, right = (torch.tensor([pair[side] for pair in swings]) for side in (0, 1))
    assert not (left & right).any()
    # 0.24 s of 5 ms.
    assert abs(int(left.sum()) - 48) <= 1 and abs(int(right.sum()) - 48) <= 1
    assert left[8:56].float().mean() > 0.95 and right[64:].float().mean() > 0.95


def test_the_contact_table_shows_the_schedule_and_the_contacts_of_now():
    table = gait(0.0).contact_table(10, 0.035, PERIOD)[0]
    # Middles of the steps at 17.5, 52.5, ... ms; the left foot swings from 40 to 280 ms, the right from 320 ms.
    assert table[:, 0].tolist() == [True] + [False] * 7 + [True] * 2
    assert table[:, 1].tolist() == [True] * 9 + [False]
    late = gait(0.0, swinging=(False, True)).contact_table(10, 0.035, PERIOD)[0]
    assert late[:2, 1].tolist() == [False, True]


def test_before_the_first_step_both_feet_wait_and_the_table_shows_it():
    start = gait(0.0)
    start.is_stepping.fill_(False)
    start.decide(NOW, CENTRED, LEFT, torch.zeros(1), PERIOD)
    table = start.contact_table(20, 0.035, PERIOD)[0]
    # 0.4 s of waiting.
    assert table[:11].all() and not table[12, 0] and table[12, 1]
    swings = run(start, 0.45)
    assert swings.index([True, False]) in (80, 81)


def test_a_foot_that_lands_early_stays_down_for_the_rest_of_its_swing():
    early = run(gait(0.0), 0.3, lambda gait: torch.full((1, 2), 100.0))
    left = [pair[0] for pair in early]
    # From 40 ms, at 60 % of 240 ms.
    assert abs(sum(left) - 29) <= 1 and not any(left[40:])


def test_a_late_foot_swings_on_until_it_touches_or_has_been_late_for_long():
    in_the_air = run(gait(0.0), 0.5, lambda gait: torch.zeros(1, 2))
    left = [pair[0] for pair in in_the_air]
    # 0.24 s and 0.1 s; the right foot waits for it.
    assert abs(sum(left) - 68) <= 1
    assert not any(pair[0] and pair[1] for pair in in_the_air)


def test_the_clock_hurries_when_the_foothold_is_far_from_nominal():
    swinging = gait(0.2, swinging=(True, False))
    swinging.advance(torch.tensor([0.5]), PERIOD)
    assert swinging.rate.item() == torch.tensor(1.6).item()
    swinging.advance(torch.tensor([0.1]), PERIOD)
    assert abs(swinging.rate.item() - 1.3) < 1e-5
    both_down = gait(0.0)
    both_down.advance(torch.tensor([0.5]), PERIOD)
    assert both_down.rate.item() == 1.0


def test_a_push_starts_stepping_at_once_with_the_far_foot_and_it_ends_when_calm():
    for far, swings in ((0.0, [True, False]), (1.0, [False, True])):
        pushed = gait(0.0)
        pushed.is_stepping.fill_(False)
        pushed.decide(NEVER, torch.tensor([[0.0, 0.09]]), torch.tensor([far]), torch.zeros(1), PERIOD)
        pushed.touch(STANDING)
        assert pushed.is_swinging[0].tolist() == swings
        run(pushed, WALK.stop_delay_s - 0.1, is_wanted=NEVER)
        assert pushed.is_stepping.item()
        run(pushed, 0.1 + WALK.period_s, is_wanted=NEVER)
        assert not pushed.is_stepping.item() and not pushed.is_swinging.any()


def test_who_stands_calmly_does_not_step():
    still = gait(0.0)
    still.is_stepping.fill_(False)
    assert run(still, 1.0, is_wanted=NEVER) == [[False, False]] * 200
