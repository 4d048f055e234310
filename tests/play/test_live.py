"""The page of live play with a robot in MuJoCo, driven through its controls and from a browser's side."""

from __future__ import annotations

import dataclasses
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import play
from rlmpc.contract.contract import Contract
from rlmpc.contract.live import Played
from rlmpc.errors import UserError
from rlmpc.sim2sim.live import MujocoWorld
from tests.sim2sim import conftest as sim2sim
from tests.sim2sim.conftest import contract_of

viser = pytest.importorskip("viser")
import msgspec  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from websockets.typing import Subprotocol  # noqa: E402

from rlmpc.play.live import gamepad  # noqa: E402
from rlmpc.play.live.gamepad import Pad  # noqa: E402
from rlmpc.play.live.loop import Loop  # noqa: E402
from rlmpc.play.live.page import Page, Seat  # noqa: E402
from rlmpc.play.live.plots import Plots  # noqa: E402
from rlmpc.play.live.policies import InTurn, velocity_estimated_in  # noqa: E402
from rlmpc.play.live.run import slider_ranges  # noqa: E402
from rlmpc.play.live.server import PageServer, open_server  # noqa: E402
from rlmpc.play.live.steering import within  # noqa: E402
from rlmpc.robots.g1.config import G1  # noqa: E402
from rlmpc.rollout.interaction import Action  # noqa: E402

# Fixtures of another folder's conftest.
contract_data, export = sim2sim.contract_data, sim2sim.export

RANGES = [(-0.5, 1.0), (-0.5, 0.5), (-1.0, 1.0)]


class Still:
    """Answers the same, whatever it sees, and counts how often its memory was emptied."""

    def __init__(self, num_actions: int, answer: float = 0.0) -> None:
        self.answer, self.seen, self.num_resets = np.full(num_actions, answer), {}, 0

    def act(self, observations: dict[str, np.ndarray]) -> np.ndarray:
        self.seen = observations
        return self.answer

    def reset(self) -> None:
        self.num_resets += 1


def still(contract: Contract, name: str = "epoch=0.ckpt") -> Played:
    return Played(Path(name), contract, ("policy",), Still(contract.num_actions), None)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.from_dict(contract_of(G1))


@pytest.fixture
def world(contract) -> MujocoWorld:
    return MujocoWorld([still(contract)], seed=0)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    server = open_server("127.0.0.1", free_port(), "test")
    yield server
    server.stop()


class Browser:
    """Speaks to the page as a browser does."""

    def __init__(self, server: PageServer) -> None:
        url = f"ws://127.0.0.1:{server.get_port()}"
        self._socket = connect(url, subprotocols=[Subprotocol(f"viser-v{viser.__version__}")], max_size=None)
        ahead = {"wxyz": [1, 0, 0, 0], "position": [1, 0, 0], "look_at": [0, 0, 0], "up_direction": [0, 0, 1]}
        self.send("ViewerCameraMessage", **ahead, fov=1.0, near=0.1, far=99.0, image_height=9, image_width=9)
        deadline = time.monotonic() + 5.0
        while not server.get_clients() and time.monotonic() < deadline:
            time.sleep(0.01)

    def send(self, kind: str, **content: Any) -> None:
        self._socket.send(msgspec.msgpack.encode({"type": kind, **content}))

    def set(self, handle: Any, value: Any) -> None:
        """Change a control."""
        self.send("GuiUpdateMessage", uuid=handle._impl.uuid, updates={"value": value})

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def browser(server, page) -> Iterator[Browser]:
    browser = Browser(server)
    yield browser
    browser.close()


@pytest.fixture
def others() -> dict[str, Played | UserError]:
    """What the page's list of checkpoints leads to, by name."""
    return {}


@pytest.fixture
def page(server, world, contract, others) -> Page:
    server.gui.reset()
    server.scene.reset()
    played = others["epoch=0.ckpt"] = still(contract)
    world.let_act(played)

    def load(path: Path) -> Played:
        found = others[path.name]
        if isinstance(found, UserError):
            raise found
        return found

    names = lambda: {name: Path(name) for name in others}  # noqa: E731
    return Page(server, world, RANGES, ("flat", 0, (0.0, 0.0, 0.0)), [Seat(played.path, names)], load)


def click(handle) -> None:
    """Do what the server does when a browser says that a button was pressed."""
    for callback in handle._impl.update_cb:
        callback(viser.GuiEvent(None, None, handle))


def turn(page: Page, steps: int = 1) -> None:
    goal = page.num_steps + steps
    while page.num_steps < goal:
        page.loop.turn()


def policy_of(page: Page) -> Any:
    """The first robot's copy of its policy."""
    return page.world._robots[0].policy


def command_seen(page: Page) -> np.ndarray:
    """The newest frame of the command in the policy's observation; see `contract_of` for where it lies."""
    terms = page.world.contract.observations.groups["policy"]
    ends = np.cumsum([term.dim * term.history for term in terms])
    end = ends[[term.name for term in terms].index("velocity_command")]
    return policy_of(page).seen["policy"][end - 3 : end]


def test_a_slider_reaches_the_policys_observation_within_two_steps(page: Page):
    turn(page)
    assert not command_seen(page).any()
    page.steering.sliders[0].value = 0.4
    turn(page, 2)
    np.testing.assert_allclose(command_seen(page), [0.4, 0.0, 0.0], atol=1e-6)
    assert page.plots.velocities[0]._rows[-1][1] == pytest.approx(0.4)


@pytest.mark.parametrize(("sent", "meant"), [(7.0, 1.0), (-7.0, -0.5), (float("nan"), 0.0), (float("inf"), 0.0)])
def test_a_number_outside_its_range_is_brought_into_it(page: Page, sent: float, meant: float):
    page.steering.sliders[0].value = sent
    turn(page, 2)
    assert command_seen(page)[0] == pytest.approx(meant)


def test_names_outside_the_lists_are_not_followed(page: Page):
    page.terrain._impl.value = "../../etc/passwd"
    page._place()
    page.checkpoints[0]._impl.value = "/elsewhere/other.ckpt"
    page._swap(0)
    assert page.message.value == "there is no such checkpoint"
    turn(page, 2)
    assert page.world._robots


def test_the_button_makes_it_stand_still(page: Page):
    page.steering.sliders[2].value = 0.8
    turn(page, 2)
    click(page.steering.halt)
    turn(page, 2)
    assert not command_seen(page).any()


def test_a_push_changes_the_velocity_in_the_frame_of_the_heading(page: Page):
    turn(page)
    before = page.world.snapshot().velocity[0]
    page.push_from.value = "to the left"
    page.push_speed.value = 1.5
    click(page.push)
    page.loop.pause(True)
    page.loop.turn()
    np.testing.assert_allclose(page.world.snapshot().velocity[0] - before, [0.0, 1.5, 0.0], atol=0.05)


def test_a_reset_puts_it_back_and_empties_the_memory(page: Page):
    turn(page, 30)
    policy, height = policy_of(page), page.world.snapshot().body_pos[0, 0, 2]
    policy.num_resets = 0
    click(page.reset)
    page.loop.pause(True)
    page.loop.turn()
    assert policy.num_resets == 1
    assert page.world.snapshot().body_pos[0, 0, 2] > height


def test_it_pauses_and_takes_single_steps(page: Page):
    turn(page)
    click(page.pause)
    for _ in range(3):
        page.loop.turn()
    assert page.num_steps == 1 and page.loop.real_time_factor == 0.0
    click(page.step)
    for _ in range(5):
        page.loop.turn()
    assert page.num_steps == 2
    click(page.pause)
    turn(page, 3)


def test_another_ground_and_level_are_built_and_drawn(page: Page):
    page.terrain.value = "stairs_up"
    page.level.value = 9
    deadline = time.monotonic() + 10.0
    while page.message.value != "stairs_up at level 9" and time.monotonic() < deadline:
        page.loop.turn()
    assert page.world.snapshot().body_pos[0, 0, 2] < 0.0, "it starts in the pit"


def test_a_checkpoint_is_swapped_while_the_robot_goes_on(page: Page, contract, others):
    others["epoch=1.ckpt"] = other = still(contract, "epoch=1.ckpt")
    page.checkpoints[0].options = tuple(others)
    turn(page, 5)
    before = page.world.snapshot().body_pos[0, 0]
    page.checkpoints[0].value = "epoch=1.ckpt"
    turn(page, 2)
    assert page.world._policies[0] is other and policy_of(page).seen
    assert page.message.value == "epoch=1.ckpt acts"
    assert np.abs(page.world.snapshot().body_pos[0, 0] - before).max() < 0.1, "it was not put back"


def test_a_checkpoint_of_another_contract_is_refused_and_the_old_one_goes_on(page: Page, others, contract):
    data = contract_of(G1)
    data["observations"]["policy"][1]["scale"] = 0.1
    others["epoch=1.ckpt"] = still(Contract.from_dict(data), "epoch=1.ckpt")
    page.checkpoints[0].options = tuple(others)
    page.checkpoints[0].value = "epoch=1.ckpt"
    turn(page, 2)
    assert "does not fit this environment" in page.message.value and "scale" in page.message.value
    assert page.world._policies[0] is others["epoch=0.ckpt"]


def test_a_broken_checkpoint_is_refused_and_the_old_one_goes_on(page: Page, others):
    others["epoch=2.ckpt"] = UserError("'epoch=2.ckpt' is damaged")
    page.checkpoints[0].options = tuple(others)
    page.checkpoints[0].value = "epoch=2.ckpt"
    turn(page, 2)
    assert page.message.value == "'epoch=2.ckpt' is damaged"
    assert page.world._policies[0] is others["epoch=0.ckpt"]


def test_robots_are_drawn_where_they_are_and_the_picture_follows(page: Page):
    turn(page, 3)
    page._next["frame"] = 0.0
    page.show()
    now = page.world.snapshot()
    np.testing.assert_allclose(page.scene._bodies[0].batched_positions[0], now.body_pos[0, 0], atol=1e-5)
    np.testing.assert_allclose(page.scene._frame.position, -now.body_pos[0, 0], atol=1e-5)
    assert len(page.scene._bodies) == sum(bool(body.collision) for body in G1.description.bodies)


def test_torques_are_shown_against_their_limits(page: Page):
    turn(page, 3)
    page.plots.show(page.world.snapshot())
    assert np.abs(page.plots.torques.data[1]).max() <= 1.0 + 1e-6
    assert " of " in page.plots.hardest.value


def test_a_fall_starts_anew_and_is_said(page: Page):
    page.push_speed.value = 3.0
    for _ in range(3):
        click(page.push)
    page.loop.speed = 4.0
    turn(page, 150)
    assert page.message.value == "starts anew: bad_orientation"


def test_a_second_policy_walks_beside_the_first_from_the_same_state(server, contract, others):
    first, second, third = still(contract), still(contract, "epoch=1.ckpt"), still(contract, "epoch=2.ckpt")
    others |= {played.path.name: played for played in (first, second, third)}
    world = MujocoWorld([first, second], seed=0)
    server.gui.reset()
    seats = [Seat(played.path, lambda: {name: Path(name) for name in others}) for played in (first, second)]
    page = Page(server, world, RANGES, ("flat", 0, (0.0, 0.0, 0.0)), seats, lambda path: others[path.name])
    root = world.snapshot().body_pos[:, 0]
    assert np.linalg.norm(root[0] - root[1]) == pytest.approx(0.9)
    np.testing.assert_allclose(world.snapshot().velocity[0], world.snapshot().velocity[1], atol=1e-9)
    turn(page, 2)
    page.checkpoints[1].value = "epoch=2.ckpt"
    turn(page, 2)
    assert [played.path.name for played in world._policies] == ["epoch=0.ckpt", "epoch=2.ckpt"]
    assert len(page.plots.velocities[0]._rows[-1]) == 4, "seconds, commanded, measured, beside"
    assert page.robots.min == 2


def test_the_number_of_robots_changes(page: Page):
    turn(page, 2)
    page.robots.value = 3
    turn(page, 3)
    assert page.message.value == "robots: 3"
    now = page.world.snapshot()
    assert len(now.body_pos) == len(page.scene._bodies[0].batched_positions) == 3
    np.testing.assert_allclose(now.body_quat_wxyz[1:, 0], now.body_quat_wxyz[:1, 0].repeat(2, axis=0), atol=0.02)
    page.robots.value = 99
    turn(page, 3)
    assert page.world.num_robots == page.world.max_robots


def test_feet_carry_the_robot(page: Page):
    turn(page, 40)
    forces = np.mean([page.plots.feet._rows[i][1:] for i in range(-20, 0)], axis=0)
    assert forces.sum() == pytest.approx(G1.description.total_mass * 9.81, rel=0.3)


def test_an_estimated_velocity_is_plotted_beside_the_true_one(page: Page):
    turn(page, 2)
    assert page.plots.estimate is None and not page.plots._estimate_folder.visible
    policy_of(page).estimated_velocity = np.array([0.3, 0.2, 0.1])
    turn(page, 2)
    row = page.plots.estimate._rows[-1]
    np.testing.assert_allclose(row[1::2], [0.3, 0.2, 0.1])
    np.testing.assert_allclose(row[2::2], page.world.snapshot().true_velocity[0])
    assert page.plots._estimate_folder.visible


def test_rewards_are_plotted_where_there_are_some(server, page: Page):
    assert page.plots.rewards is None, "MuJoCo has none"
    known = dataclasses.replace(page.world.snapshot(), rewards={"track": 0.7, "torque": -0.1})
    plots = Plots(server, page.world.contract, known, is_compared=False)
    plots.add((0.0, 0.0, 0.0), known)
    plots.show(known)
    assert plots.rewards is not None and plots.rewards.handle.data[1].tolist() == [0.7]


class Counting:
    """Answers its own number, and remembers how often it has acted."""

    def __init__(self, number: float) -> None:
        self.number = number

    def initial_memory(self, num_envs: int) -> dict[str, torch.Tensor]:
        return {"count": torch.zeros(num_envs, 1)}

    def act(self, obs, memory, deterministic: bool = False) -> Action:
        return Action(torch.full((5, 2), self.number), {"count": memory["count"] + self.number})


def test_two_policies_move_robots_in_turn_each_with_its_own_memory():
    policy = InTurn([Counting(1.0), Counting(2.0)])
    memory = policy.initial_memory(5)
    for _ in range(3):
        acted = policy.act({}, memory)
        memory = acted.memory
    assert acted.action[:, 0].tolist() == [1.0, 2.0, 1.0, 2.0, 1.0]
    assert [values[0].item() for values in memory.values()] == [3.0, 6.0]


def test_the_velocity_that_a_policy_estimates_is_that_of_the_first_robot():
    acted = SimpleNamespace(inferred={"velocity": torch.tensor([[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]])})
    np.testing.assert_allclose(velocity_estimated_in(acted), [0.1, 0.2, 0.3])
    assert velocity_estimated_in(SimpleNamespace(inferred={})) is None
    assert velocity_estimated_in(Action(torch.zeros(1, 2))) is None


@pytest.mark.parametrize(
    ("text", "pad"),
    [
        ("0.00 -1.00 0.00 0.00 | ", Pad((1.0, 0.0, 0.0), frozenset())),
        ("-1.00 0.05 0.55 0.00 | 0 3 9", Pad((0.0, 1.0, -0.5), frozenset({"push", "pause"}))),
        *((text, None) for text in ("none", "gone", "", "1 2", "nan 0 0 | ", "0 0 0", "0 0 0 | x", "0 0 | 0")),
    ],
)
def test_what_a_gamepad_does_is_read(text: str, pad: Pad | None):
    found = gamepad.read(text)
    assert (found is None) == (pad is None)
    if found is not None and pad is not None:
        assert found.sticks == pytest.approx(pad.sticks, abs=1e-9) and found.held == pad.held


def test_a_button_of_a_gamepad_asks_once_while_it_is_held(page: Page, browser: Browser):
    turn(page)
    reset = policy_of(page)
    reset.num_resets = 0
    for stick in ("-0.50", "-0.60", "-0.70"):
        browser.set(page.steering.gamepad, f"0.00 {stick} 0.00 0.00 | 2")
        turn(page, 5)
    assert reset.num_resets == 1
    assert command_seen(page)[0] == pytest.approx(2.0 / 3.0, abs=1e-6)


def test_a_gamepad_that_is_gone_makes_it_stand_still(page: Page, browser: Browser):
    browser.set(page.steering.gamepad, "0.00 -1.00 0.00 0.00 | ")
    turn(page, 10)
    assert command_seen(page)[0] == 1.0
    browser.set(page.steering.gamepad, "gone")
    turn(page, 10)
    assert not command_seen(page).any()
    assert page.message.value == "the gamepad is gone; the robot is told to stand still"


def test_a_checkpoint_of_another_robot_is_refused_in_one_sentence(page: Page, others, biped):
    others["epoch=1.ckpt"] = still(Contract.from_dict(contract_of(biped)), "epoch=1.ckpt")
    page.checkpoints[0].options = tuple(others)
    page.checkpoints[0].value = "epoch=1.ckpt"
    turn(page, 2)
    assert page.message.value == f"'epoch=1.ckpt' moves the robot '{biped.name}', and here walks '{G1.name}'"
    assert page.world._policies[0] is others["epoch=0.ckpt"]


class Clockwork:
    """A world that does nothing, fifty times a second."""

    contract = type("Contract", (), {"control_dt": 0.02})

    def step(self) -> None:
        return None


@pytest.mark.parametrize("speed", [0.5, 4.0])
def test_the_loop_keeps_the_pace(speed: float):
    steps = []
    loop = Loop(Clockwork(), steps.append)  # type: ignore[arg-type]
    loop.speed = speed
    start = time.perf_counter()
    while len(steps) < 20:
        loop.turn()
    assert time.perf_counter() - start == pytest.approx(19 * 0.02 / speed, rel=0.5)


def test_a_browsers_slider_reaches_the_policy_within_a_tenth_of_a_second(page: Page, browser: Browser):
    """The fastest of five: what else the machine does delays the others."""
    turn(page, 10)
    latencies = []
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        start = time.perf_counter()
        browser.set(page.steering.sliders[0], value)
        while abs(command_seen(page)[0] - value) > 1e-6 and time.perf_counter() < start + 5.0:
            page.loop.turn()
        latencies.append(time.perf_counter() - start)
    print("latencies [ms]", [round(1000 * latency) for latency in latencies], "factor", page.loop.real_time_factor)
    assert min(latencies) < 0.1


@pytest.mark.parametrize("sent", [1e9, "ten", None, [1, 2], {"a": 1}])
def test_whatever_a_browser_sends_the_command_stays_in_its_range(page: Page, browser: Browser, sent: object):
    turn(page)
    browser.set(page.steering.sliders[0], sent)
    turn(page, 10)
    assert command_seen(page)[0] in (0.0, 1.0)


def test_a_browser_that_asks_for_a_tunnel_gets_none(page: Page, browser: Browser, server):
    browser.send("ShareUrlRequest")
    turn(page, 10)
    assert server._share_tunnel is None


def test_sliders_reach_from_where_the_policy_was_trained_to_standing():
    trained = {"lin_vel_x": [0.3, 0.8], "lin_vel_y": [0.0, 0.0], "ang_vel_z": [-2.0, -1.0]}
    assert slider_ranges(trained) == [(0.0, 0.8), (-0.5, 0.5), (-2.0, 0.0)]
    assert slider_ranges({})[0] == (-1.0, 1.0)


def test_numbers_come_into_their_ranges():
    assert [within(x, 1.0, 2.0) for x in (0.0, 1.5, 9.0, float("nan"))] == [1.0, 1.5, 2.0, 1.0]


def test_a_browser_cannot_open_a_tunnel(server):
    assert server.request_share_url() is None
    assert server._share_tunnel is None


def test_a_port_in_use_ends_with_a_sentence(command, export):
    folder = export()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = command(play.main, f"ckpt={folder}", "live=true", f"port={port}", "steps=1")
    assert code == 2
    assert f"the page cannot be at host=127.0.0.1 port={port}: Address already in use" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["host=no.such.host.invalid"], "the page cannot be at host=no.such.host.invalid"),
        (["port=0"], "'port' must be at least 1"),
        (["video=true"], "'video' has no effect with live=true"),
        (["run.dir=here"], "'run.dir' has no effect with live=true"),
        (["command=[5,0,0]"], "lin_vel_x = 5 lies outside the range of the page's slider: -0.5 to 1"),
        (["terrains=[stares_up]"], "did you mean"),
        (["num_envs=3"], "'num_envs' has no effect in MuJoCo"),
        (["beside=no/such/run"], "there is no checkpoint 'no/such/run'"),
    ],
)
def test_bad_input_is_refused(command, export, arguments: list[str], sentence: str):
    code, _, err = command(play.main, f"ckpt={export()}", "live=true", "steps=1", *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert sentence in err


def test_a_policy_beside_is_refused_without_the_page(command, export):
    code, _, err = command(play.main, f"ckpt={export()}", "beside=x")
    assert code == 2 and err.endswith(": 'beside' has no effect without live=true\n")


def test_without_viser_it_ends_with_a_sentence(command, export, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    code, _, err = command(play.main, f"ckpt={export()}", "live=true")
    assert code == 2
    assert "live=true needs viser, which is not installed: `pip install -e '.[live]'` in the clone" in err
    assert len(err.splitlines()) == 1


def test_the_command_shows_the_page_and_says_where(command, export: Callable[..., Path]):
    port = free_port()
    code, out, err = command(play.main, f"ckpt={export()}", "live=true", f"port={port}", "steps=5")
    assert (code, err) == (0, "")
    assert f"live page at http://127.0.0.1:{port}, only from this machine" in out
    assert "5 control steps; real-time factor" in out
