"""The gamepad of a browser: viser has none, so a script on the page types what it does into a text field.

The field holds the positions of the sticks, a bar, and the numbers of the buttons that are held, in the order of the
"standard gamepad" of browsers: `0.00 -1.00 0.00 0.00 | 0 9`. It holds `gone` once the gamepad is taken away.
"""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

from rlmpc.contract.sticks import beyond_dead_zone

NONE, GONE = "none", "gone"
"""What the field holds before a gamepad was used, and after it was taken away."""

POLL_MS = 40
"""Milliseconds between two looks at the gamepad."""

FORWARD, LEFT, TURN = 1, 0, 2
"""Axes: the left stick moves, the right one turns. All are negative forward and to the left."""

BUTTONS = {0: "push", 2: "reset", 9: "pause"}
"""Button -> what it asks for; on most gamepads these are A, X and start."""

_SCRIPT = f"""
(place => {{
  clearInterval(window.gamepadTimer);
  const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  while (place && !place.querySelector('input')) place = place.parentElement;
  let told = '{NONE}';
  window.gamepadTimer = setInterval(() => {{
    const field = place && place.querySelector('input');
    const pad = [...navigator.getGamepads()].find(pad => pad && pad.connected);
    if (!field || (!pad && told === '{NONE}')) return;
    const held = pad && pad.buttons.flatMap((button, number) => button.pressed ? [number] : []);
    const text = pad ? pad.axes.map(axis => axis.toFixed(2)).join(' ') + ' | ' + held.join(' ') : '{GONE}';
    if (text === told) return;
    told = text;
    write.call(field, text);
    field.dispatchEvent(new Event('input', {{bubbles: true}}));
  }}, {POLL_MS});
}})(this)
"""

SCRIPT = f'<img src="data:," style="display:none" onerror="{html.escape(_SCRIPT)}">'
"""HTML that starts the script; it finds the text field in the folder of the page in which both are."""


@dataclass(frozen=True)
class Pad:
    """What a gamepad does at one moment."""

    sticks: tuple[float, float, float]
    """Forward, left and turn, each from -1 to 1."""
    held: frozenset[str]
    """What the buttons that are held ask for."""


def read(text: str) -> Pad | None:
    """Read the field; None for what the script does not write."""
    positions, bar, numbers = text.partition("|")
    try:
        axes = [float(position) for position in positions.split()]
        held = [int(number) for number in numbers.split()]
        positions = [-axes[axis] for axis in (FORWARD, LEFT, TURN)]
    except (ValueError, IndexError):
        return None
    if not bar or not all(map(math.isfinite, positions)):
        return None
    forward, left, turn = map(beyond_dead_zone, positions)
    return Pad((forward, left, turn), frozenset(BUTTONS[number] for number in held if number in BUTTONS))
