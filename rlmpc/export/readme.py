"""The README beside an exported policy: what it is and how to run it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlmpc.contract.actuation import controller_of, is_served

_HEAD = """\
# A policy: {algorithm} for {task}, iteration {iteration}

- `policy.onnx`: the graph. `policy.json`: all that one must know to call it. `policy.pt2`: the graph for torch.
- It acts every {period_ms:g} ms{robot}.
- Checkpoint: SHA-256 {checkpoint}.
"""
_RANGES = """
Trained commands; outside of them it was never tried:

{ranges}
"""
_RUN = """
## Run it

With rlmpc {version}, where `DIR` is this folder:

    python -m rlmpc.deploy DIR robot=mujoco command=[{example},0,0] seconds=60
    python -m rlmpc.deploy DIR robot=g1 network=eth0

The first line walks in MuJoCo, in real time; try it before the second one, which drives a Unitree G1 from the keyboard
and needs `unitree_sdk2py`. Before that, read the checklist for the first time on hardware in `docs/deploy.md` of rlmpc,
which also says how other code can run the policy. The loop was never run on hardware.
"""
_CONTROLLED = """
## Run it

It sets parameters of a predictive controller, which makes the torques and is a part of rlmpc; `controller` in the
`manual` of `policy.json` says what that needs, and `contract.actions` has all of its settings. With rlmpc {version},
where `DIR` is this folder, both walk in MuJoCo:

    python play.py ckpt=DIR backend=mujoco

The deployment loop refuses it: on a robot, the velocity of the root would have to be estimated.
"""
_NOT_SERVED = """
## Run it

Its actions are carried out by the task's own environment only: neither MuJoCo nor the deployment loop runs it.
"""


def readme(data: Mapping[str, Any]) -> str:
    """Return the text for the contents of `policy.json`."""
    contract, ranges = data["contract"], data["command_ranges"]
    robot = f" and moves {len(contract['joints']['names'])} joints of {contract['robot']}" if contract["joints"] else ""
    text = _HEAD.format(
        **{key: data[key] for key in ("algorithm", "task", "iteration")},
        period_ms=1e3 * contract["control_dt"],
        robot=robot,
        checkpoint=data["checkpoint_sha256"] or "unknown, as it was exported while training",
    )
    if ranges:
        lines = "\n".join(f"- `{axis}`: {low:g} to {high:g}" for axis, (low, high) in ranges.items())
        text += _RANGES.format(ranges=lines)
    if robot and not is_served(contract["actions"]):
        text += _NOT_SERVED
    elif robot and controller_of(contract["actions"]) is not None:
        text += _CONTROLLED.format(version=data["versions"]["rlmpc"])
    elif robot and ranges:
        fastest = max(ranges.get("lin_vel_x", (0.0, 0.0))[1], 0.0)
        text += _RUN.format(version=data["versions"]["rlmpc"], example=f"{0.5 * fastest:g}")
    return text
