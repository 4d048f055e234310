"""The page of live play in a real browser, with a published policy in MuJoCo."""

from __future__ import annotations

import math
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("viser")
playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STUDENT = Path(__file__).parents[2] / "pretrained" / "blind_rl" / "student" / "policy.ckpt"
# In software a picture of full resolution takes a second.
COARSE = "?fixedDpr=0.1"
GAMEPAD = """([axes, held]) => {
  const buttons = [...Array(17).keys()].map(number => ({pressed: held.includes(number)}));
  navigator.getGamepads = () => axes ? [{connected: true, axes, buttons}] : [null];
}"""


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A page (`page`) with a robot that stands, and a browser (`tab`) that shows it."""
    if CHROMIUM is None:
        pytest.skip("no browser: neither chromium, chromium-browser nor google-chrome is installed")
    from rlmpc.checkpoint.file import load_checkpoint
    from rlmpc.play.live.page import Page, Seat
    from rlmpc.play.live.policies import for_mujoco, run_of
    from rlmpc.play.live.run import slider_ranges
    from rlmpc.play.live.server import open_server
    from rlmpc.sim2sim.live import MujocoWorld

    run = tmp_path_factory.mktemp("run")
    for name in ("epoch=0.ckpt", "epoch=1.ckpt"):
        shutil.copy(STUDENT, run / name)
    played = for_mujoco(load_checkpoint(run / "epoch=0.ckpt"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = open_server("127.0.0.1", port, "test")
    seat = Seat(played.path, lambda: run_of(played.path))
    ranges = slider_ranges(played.command_ranges or {})
    world = MujocoWorld([played], seed=0)
    page = Page(server, world, ranges, ("flat", 0, (0.0, 0.0, 0.0)), [seat], lambda p: for_mujoco(load_checkpoint(p)))
    thread = threading.Thread(target=page.loop.run)
    thread.start()
    try:
        with playwright.sync_playwright() as driver:
            options = ["--no-sandbox", "--enable-unsafe-swiftshader"]
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
            tab = browser.new_page(viewport={"width": 900, "height": 700})
            tab.goto(f"http://127.0.0.1:{port}/{COARSE}")
            tab.get_by_text("stand still (X)").wait_for(timeout=60_000)
            yield SimpleNamespace(page=page, tab=tab)
            browser.close()
    finally:
        page.loop.stop()
        thread.join()
        server.stop()


@pytest.fixture(autouse=True)
def standing(live) -> None:
    live.page.loop.ask(live.page._reset)
    live.page.steering.stand_still()
    until(lambda: live.page.message.value == "reset")


def until(happens: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.002)


def watch(live, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Velocities (T, 3) and tilts (T,) [rad] of the robot in the next control steps."""
    velocities, tilts, seen, end = [], [], live.page.num_steps, live.page.num_steps + steps

    def look() -> bool:
        nonlocal seen
        if live.page.num_steps > seen:
            seen, now = live.page.num_steps, live.page._snapshot
            _, x, y, _ = now.body_quat_wxyz[0, 0]
            velocities.append(now.velocity[0])
            tilts.append(math.acos(1.0 - 2.0 * (x * x + y * y)))
        return seen >= end

    until(look, 60.0)
    return np.array(velocities), np.array(tilts)


def test_a_slider_moves_the_robot(live):
    assert abs(watch(live, 25)[0][:, 0].mean()) < 0.1
    slider = live.tab.get_by_role("slider").first
    slider.press("End")
    until(lambda: live.page._command[0] == live.page.steering.sliders[0].max)
    watch(live, 75)
    assert watch(live, 50)[0][:, 0].mean() > 0.5 * live.page._command[0]
    print("real-time factor", round(live.page.loop.real_time_factor, 2))


def test_the_command_comes_soon_after_the_slider_moved(live):
    """From the key's event in the browser to the step with the new command; loose, for machines are busy."""
    applied: list[float] = []
    step = live.page.world.step

    def noting_step() -> str | None:
        if live.page._command[0] != before and not applied:
            applied.append(1000.0 * time.time())
        return step()

    live.tab.evaluate(
        "addEventListener('keydown', () => { window.pressed = performance.timeOrigin + performance.now() }, true)"
    )
    latencies = []
    slider = live.tab.get_by_role("slider").first
    slider.focus()
    for _ in range(7):
        before = live.page._command[0]
        applied.clear()
        live.page.world.step = noting_step
        live.tab.keyboard.press("ArrowRight")
        until(lambda: bool(applied))
        latencies.append(applied[0] - live.tab.evaluate("window.pressed"))
    del live.page.world.step
    print("latencies [ms]", [round(latency) for latency in latencies])
    assert 0.0 < sorted(latencies)[3] < 1000.0


def test_a_push_makes_it_stumble(live):
    calm, upright = watch(live, 50)
    live.tab.get_by_role("button", name="push (P)").click()
    until(lambda: "pushed" in live.page.message.value)
    stumbling, tilted = watch(live, 50)
    assert np.abs(stumbling[:, 0]).max() > np.abs(calm[:, 0]).max() + 0.3
    assert tilted.max() > upright.max() + 0.03


def test_a_checkpoint_is_swapped_while_it_walks(live):
    live.page.steering.sliders[0].value = 0.5
    watch(live, 50)
    live.tab.get_by_role("combobox", name="checkpoint").click()
    live.tab.get_by_role("option", name="epoch=1.ckpt").click()
    live.tab.locator('input[value="epoch=1.ckpt acts"]').wait_for()
    assert live.page.world._policies[0].path.name == "epoch=1.ckpt"
    velocities, tilts = watch(live, 50)
    assert velocities[:, 0].mean() > 0.2 and tilts.max() < 0.5, "it walks on"


def test_keys_steer(live):
    # While a text field has the focus, keys are for it.
    live.tab.evaluate("document.activeElement.blur()")
    live.tab.locator("body").press("i")
    until(lambda: live.page._command[0] > 0.0)
    live.tab.locator("body").press("x")
    until(lambda: live.page._command == (0.0, 0.0, 0.0))


def test_a_gamepad_steers_and_pushes_until_it_is_gone(live):
    live.tab.evaluate(GAMEPAD, [[0.0, -1.0, 0.5, 0.0], []])
    forward, _, turn = live.page.steering.sliders
    until(lambda: live.page._command[0] == forward.max)
    assert turn.min < live.page._command[2] < 0.0, "the right stick to the right turns right"
    live.tab.evaluate(GAMEPAD, [[0.0, 0.0, 0.0, 0.0], [0]])
    until(lambda: live.page._command == (0.0, 0.0, 0.0) and "pushed" in live.page.message.value)
    live.tab.evaluate(GAMEPAD, [None, []])
    until(lambda: live.page.message.value == "the gamepad is gone; the robot is told to stand still")
