"""The play command, in this process, on the toy environment."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import play
import train
from rlmpc.checkpoint import file
from rlmpc.checkpoint.file import load_checkpoint
from rlmpc.envs.toy import ToyEnv
from rlmpc.evaluation import report
from rlmpc.evaluation.metrics import METRICS
from rlmpc.evaluation.report import FILES
from rlmpc.networks.policy import GaussianPolicy

pytestmark = pytest.mark.slow

SMALL = ["device=cpu", "num_envs=16", "trainer.max_epochs=2", "logger=[]", "checkpoint.export=false"]
SHORT = ["device=cpu", "steps=8"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    """Checkpoints of two teachers and of a student of the first; their world has an override of its own."""
    root = tmp_path_factory.mktemp("runs")

    def run(name: str, *arguments: str) -> Path:
        train.main([*arguments, *SMALL, "agent.num_steps=8", f"run.dir={root / name}"])
        return root / name / "checkpoints/epoch=1.ckpt"

    world = ["task=toy", "env.max_wind=0.5"]
    paths = {agent: run(agent, *world, f"agent={agent}") for agent in ("ppo", "rma")}
    student = ["agent.actor_hidden=[16,16]", "agent.memory=gru", "agent.memory_width=8", "agent.teacher_check_steps=0"]
    paths["gru"] = run("gru", "stage=distill", f"teacher_ckpt={paths['ppo']}", *student)
    return paths


@pytest.fixture
def here(saved, tmp_path) -> Path:
    """A run of the teacher in a folder below the current one."""
    run = tmp_path / "logs/toy/teacher/first"
    shutil.copytree(saved["ppo"].parents[1], run, symlinks=True)
    return run


@pytest.fixture
def no_plots(monkeypatch) -> None:
    """Drawing takes most of the time of a short evaluation."""
    monkeypatch.setattr(report, "PLOTS", {})


def rows(folder: str | Path) -> list[dict[str, str]]:
    """Episodes of an evaluation."""
    with (Path(folder) / "evaluation.csv").open() as file:
        return list(csv.DictReader(file))


def refused(command, *arguments: str) -> str:
    """What the command says that must fail; nothing new may be left behind, and nothing changed."""

    def files() -> dict[Path, int | None]:
        return {path: path.stat().st_mtime_ns if path.is_file() else None for path in Path.cwd().rglob("*")}

    before = files()
    code, _, err = command(play.main, *arguments)
    assert code == 2
    assert files() == before
    return err.removeprefix("train.py: ").strip()


@pytest.mark.parametrize("where", ["{run}/checkpoints/epoch=1.ckpt", "{run}", "latest", "best", "{run}/best"])
def test_a_policy_is_found_by_its_file_its_run_as_the_latest_and_as_the_best(command, here, where: str, monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(file, "_read", lambda path, original=file._read: read.append(path.name) or original(path))
    code, out, _ = command(play.main, f"ckpt={where.format(run=here)}", "evaluate=false", "device=cpu")
    assert code == 0
    (line,) = (line for line in out.splitlines() if line.startswith("ppo of iteration 2 for toy: "))
    assert Path(line.split(": ")[1]).resolve() == here / "checkpoints/epoch=1.ckpt"
    assert not (here / "play").exists()
    assert read.count("epoch=1.ckpt") == 1


@pytest.mark.parametrize("kind", ["ppo", "rma", "gru"])
def test_every_kind_of_policy_is_evaluated_from_its_file_alone(command, saved, kind: str):
    code, out, _ = command(play.main, f"ckpt={saved[kind]}", *SHORT, "run.dir=results")
    assert code == 0
    assert sorted(path.name for path in Path("results").iterdir()) == sorted(FILES)
    written = json.loads(Path("results/evaluation.json").read_text())
    checkpoint = load_checkpoint(saved[kind])
    assert written["header"] == {
        "task": "toy",
        "algorithm": {"gru": "student"}.get(kind, kind),
        "iteration": 2,
        "checkpoint_sha256": checkpoint.sha256,
        "seed": 1,
        "backend": None,
        "disturbed": False,
        "privileged": False,
    }
    assert [(row["terrain"], row["level"], row["episodes"]) for row in written["rows"]] == [
        ("arena", level, 1) for level in (0, 2, 4)
    ]
    assert written["totals"]["episodes"] == 3
    assert [(row["level"], float(row["length_s"])) for row in rows("results")] == [
        (level, pytest.approx(0.4)) for level in "024"
    ]
    for name in ("success.png", "tracking.png", "falls.png"):
        assert Path("results", name).read_bytes().startswith(b"\x89PNG")
    # A column's name takes several lines.
    words = [word for name in METRICS for word in name.split("_")]
    assert all(name in out for name in (*words, "arena", "time_out 3", "evaluation in results"))


@pytest.mark.usefixtures("no_plots")
def test_results_go_into_the_run_of_the_policy_unless_a_folder_is_named(command, here):
    command(play.main, f"ckpt={here}", *SHORT)
    (folder,) = (here / "play").iterdir()
    assert folder.name.startswith("20")
    assert len(rows(folder)) == 3
    shutil.copy(here / "checkpoints/epoch=1.ckpt", "alone.ckpt")
    command(play.main, "ckpt=alone.ckpt", *SHORT)
    (folder,) = Path("play").iterdir()
    assert len(rows(folder)) == 3


@pytest.mark.usefixtures("no_plots")
def test_the_grid_and_its_pace_are_what_the_arguments_say(command, saved):
    grid = ["terrains=[arena]", "levels=[1,3]", "episodes=3", "num_envs=4", "steps=5", "metrics=[distance_m,length_s]"]
    code, out, _ = command(play.main, f"ckpt={saved['ppo']}", *grid, "device=cpu", "run.dir=results")
    assert code == 0
    assert "round 1 of 2: 4 episodes\nround 2 of 2: 2 episodes\n" in out
    assert [(row["level"], row["length_s"]) for row in rows("results")] == [("1", "0.25")] * 3 + [("3", "0.25")] * 3
    shown = {name for name in METRICS if name.split("_")[0] in out}
    assert shown == {"distance_m", "length_s"}
    assert set(json.loads(Path("results/evaluation.json").read_text())["rows"][0]) > set(METRICS)


@pytest.mark.usefixtures("no_plots")
def test_a_seed_repeats_an_evaluation_and_another_gives_another(command, saved):
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        command(play.main, f"ckpt={saved['ppo']}", *SHORT, "episodes=2", f"seed={seed}", f"run.dir={name}")
    first, again, other = (Path(name, "evaluation.csv").read_bytes() for name in ("first", "again", "other"))
    assert first == again
    assert first != other


@pytest.mark.usefixtures("no_plots")
def test_a_policy_whose_actions_are_not_finite_is_reported_and_ends_with_a_sentence(command, saved, monkeypatch):
    act = GaussianPolicy.act

    def senseless(policy: GaussianPolicy, *arguments: Any, **options: Any) -> Any:
        acted = act(policy, *arguments, **options)
        return replace(acted, action=acted.action / 0.0)

    monkeypatch.setattr(GaussianPolicy, "act", senseless)
    code, out, err = command(play.main, f"ckpt={saved['ppo']}", *SHORT, "run.dir=results")
    assert code == 1
    assert err.endswith("the policy's actions are not finite: 3 of 3 episodes ended so\n")
    assert "non_finite_action 3" in out
    assert {(row["reason"], row["success"]) for row in rows("results")} == {("non_finite_action", "False")}
    assert {path.name for path in Path("results").iterdir()} == {"evaluation.csv", "evaluation.json"}


def test_nothing_is_measured_or_left_when_no_evaluation_is_wanted(command, here):
    code, out, _ = command(play.main, f"ckpt={here}", *SHORT, "evaluate=false")
    assert code == 0
    assert "round" not in out
    assert not (here / "play").exists()


@pytest.mark.usefixtures("no_plots")
def test_what_differs_from_training_is_said(command, saved):
    _, out, _ = command(play.main, f"ckpt={saved['ppo']}", *SHORT, "env.gain_range=[1.0,1.0]", "run.dir=results")
    lines = [line.strip() for line in out.splitlines() if " in training, " in line]
    assert lines == [
        "episode_length_s: 5.0 in training, 0.4 here",
        "gain_range: (0.7, 1.3) in training, (1.0, 1.0) here",
        "position_noise: 0.01 in training, 0.0 here",
    ]


@pytest.mark.usefixtures("no_plots")
def test_the_world_is_as_in_training_but_for_the_arguments(command, saved, monkeypatch):
    made = []
    original = ToyEnv.__init__

    def init(self: ToyEnv, cfg: Any, *arguments: Any) -> None:
        made.append((cfg.max_wind, cfg.drag_range))
        original(self, cfg, *arguments)

    monkeypatch.setattr(ToyEnv, "__init__", init)
    command(play.main, f"ckpt={saved['ppo']}", *SHORT, "run.dir=first")
    command(play.main, f"ckpt={saved['ppo']}", *SHORT, "env.max_wind=1.0", "run.dir=second")
    assert made == [(0.5, (0.1, 0.6)), (1.0, (0.1, 0.6))]


def test_a_policy_is_evaluated_and_exported_at_once(command, saved):
    code, out, _ = command(play.main, f"ckpt={saved['gru']}", *SHORT, "export=true", "run.dir=results")
    assert code == 0
    assert "onnxruntime acts as the policy does on 1000 recorded observations" in out
    assert sorted(path.name for path in Path("results/export").iterdir()) == [
        "README.md",
        "policy.json",
        "policy.onnx",
        "policy.pt2",
    ]
    described = json.loads(Path("results/export/policy.json").read_text())
    assert described["checkpoint_sha256"] == load_checkpoint(saved["gru"]).sha256
    assert [entry["name"] for entry in described["inputs"]] == ["policy", "state.hidden"]
    assert len(rows("results")) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "play.py needs ckpt=PATH, or policy=zero or policy=random and task=<name>, one of"),
        (["ckpt=null"], "play.py needs ckpt=PATH"),
        (["task=toy"], "task=toy needs policy=zero or policy=random"),
        (["task=toy", "policy=zeor"], "unknown policy 'zeor'; task=toy needs"),
        (["task=toi", "policy=zero"], "did you mean 'toy'?"),
        (["ckpt={ckpt}", "task=toy"], "give ckpt=PATH without task= and policy="),
        (["ckpt={ckpt}", "policy=zero"], "give ckpt=PATH without task= and policy="),
        (["task=toy", "policy=zero", "export=true"], "'export' needs ckpt=PATH"),
        (["task=toy", "policy=zero", "video=true"], "'video' needs ckpt=PATH"),
        (["task=toy", "policy=zero", "backend=mujoco"], "'backend' needs ckpt=PATH"),
        (["ckpt=none.ckpt"], "there is no checkpoint 'none.ckpt'; give a file, a run's folder, latest, best or"),
        (["ckpt=full"], "there is no checkpoint in 'full'"),
        (["ckpt=latest", "run.root=full"], "there is no checkpoint below 'full'"),
        (["ckpt=none.onnx"], "'none.onnx' does not exist"),
        (["ckpt=cut.ckpt"], "'cut.ckpt' is not a checkpoint, or only a part of one"),
        (["ckpt=full/file"], "'full/file' is not a checkpoint, or only a part of one"),
        (["ckpt=foreign.ckpt"], "'foreign.ckpt' is not a checkpoint of this project"),
        (["ckpt={ckpt}", "video=true"], "task 'toy' has nothing to film"),
        (
            ["ckpt={ckpt}", "metrics=[distanc]"],
            "there is no metric 'distanc'; known: {metrics}; did you mean 'distance_m'?",
        ),
        (["ckpt={ckpt}", "terrains=[arean]"], "there is no terrain 'arean'; known: arena; did you mean 'arena'?"),
        (["ckpt={ckpt}", "terrains=[arean]", "export=true"], "there is no terrain 'arean'"),
        (["ckpt={ckpt}", "terrains=[]"], "nothing to evaluate"),
        (["ckpt={ckpt}", "terrains=arena"], "'terrains' cannot be 'arena'"),
        (["ckpt={ckpt}", "levels=[5]"], "there is no level 5; accepted: 0 to 4"),
        (["ckpt={ckpt}", "levels=[-1]"], "there is no level -1; accepted: 0 to 4"),
        (["ckpt={ckpt}", "levels=[one]"], "'levels' cannot be ['one']"),
        (["ckpt={ckpt}", "command=[1.0,0,0]"], "the command [1.0, 0.0, 0.0] does not fit; accepted: none"),
        (["ckpt={ckpt}", "command=[fast]"], "'command' cannot be ['fast']"),
        (
            ["ckpt={ckpt}", "backend=mujcoo"],
            "'mujcoo'; accepted: null, mujoco; did you mean 'mujoco'?",
        ),
        (["ckpt={ckpt}", "backend=mujoco"], "the policy moves no robot that MuJoCo could simulate"),
        (["ckpt={ckpt}", "robots=9"], "'robots' must be at least 1 and at most 4, not 9"),
        (["ckpt={ckpt}", "robots=0"], "'robots' must be at least 1 and at most 4, not 0"),
        (["ckpt={ckpt}", "steps=0"], "'steps' must be at least 1, not 0"),
        (["ckpt={ckpt}", "num_envs=0"], "'num_envs' must be at least 1, not 0"),
        (["ckpt={ckpt}", "episodes=0"], "'episodes' must be at least 1, not 0"),
        (["ckpt={ckpt}", "seed=-1"], "'seed' must be at least 0 and at most 4294967295, not -1"),
        (["ckpt={ckpt}", "seed=4294967296"], "'seed' must be at least 0 and at most 4294967295, not 4294967296"),
        (["task=toy", "policy=zero", "levels=[1]"], "'levels' needs ckpt=PATH"),
        (["task=toy", "policy=zero", "run.dir=zero"], "'run.dir' needs ckpt=PATH"),
        (["ckpt={ckpt}", "device=gpu"], "unknown device 'gpu'"),
        (["ckpt={ckpt}", "step=5"], "did you mean 'steps'?"),
        (["ckpt={ckpt}", "env.max_wnd=1"], "did you mean 'env.max_wind'?"),
        (["ckpt={ckpt}", "env.max_wind=9"], "'env.max_wind' must be at least 0 and below 'env.max_accel'"),
        (["ckpt={ckpt}", "run.dir=full"], "the run folder 'full' is not empty"),
        (["task=toy", "policy=zero", "publish=new"], "'publish' needs ckpt=PATH"),
        (["ckpt={ckpt}", "publish=new", "evaluate=false"], "'publish' needs a checkpoint and its evaluation"),
        (["ckpt={ckpt}", "publish=new", "backend=mujoco"], "'publish' has no effect with backend=mujoco"),
        (["ckpt={ckpt}", "privileged=true", "publish=new"], "'privileged' has no effect with publish=new"),
        (["ckpt={ckpt}", "privileged=true"], "'privileged' has no effect: ppo acts on a robot as in simulation"),
        (["ckpt={ckpt}", "publish=full/file"], "'full/file' is a file; publish=PATH takes a folder"),
        (["ckpt={ckpt}", "run.dir=full/file"], "the run folder 'full/file' is a file"),
        (["ckpt={ckpt}", "run.dir=full/file/below"], "the run folder 'full/file/below' cannot be written"),
    ],
)
def test_bad_input_ends_with_one_sentence_exit_code_2_and_nothing_written(command, here, arguments, sentence):
    ckpt = here / "checkpoints/epoch=1.ckpt"
    Path("full").mkdir()
    Path("full/file").write_text("kept")
    Path("cut.ckpt").write_bytes(ckpt.read_bytes()[:10_000])
    torch.save({"state_dict": {}}, "foreign.ckpt")
    err = refused(command, *(argument.format(ckpt=ckpt) for argument in arguments))
    assert sentence.format(metrics=", ".join(METRICS)) in err
    assert len(err.splitlines()) == 1


def test_a_policy_that_adapts_is_evaluated_on_what_only_the_simulator_knows_too(command, saved, no_plots):
    for privileged in ("false", "true"):
        arguments = (*SHORT, f"privileged={privileged}", f"run.dir={privileged}")
        assert command(play.main, f"ckpt={saved['rma']}", *arguments)[0] == 0
    assert json.loads(Path("true/evaluation.json").read_text())["header"]["privileged"] is True
    velocities = [[row["velocity"] for row in rows(folder)] for folder in ("false", "true")]
    assert len(velocities[0]) == len(velocities[1]) > 0
    assert velocities[0] != velocities[1]


@pytest.mark.parametrize("kind", ["ppo", "rma", "gru"])
def test_a_published_policy_acts_as_its_checkpoint_does_and_is_not_overwritten(command, saved, kind: str, no_plots):
    code, out, _ = command(play.main, f"ckpt={saved[kind]}", *SHORT, "publish=pub", "run.dir=results")
    assert code == 0
    assert "published in pub: " in out
    assert command(play.main, "ckpt=pub", *SHORT, "run.dir=again")[0] == 0
    assert Path("results/evaluation.csv").read_bytes() == Path("again/evaluation.csv").read_bytes()
    assert "'pub/policy.ckpt' exists already and is not overwritten" in refused(command, "ckpt=pub", "publish=pub")


def test_the_card_of_a_policy_says_what_it_is_how_it_was_trained_and_how_well_it_does(command, saved, no_plots):
    assert command(play.main, f"ckpt={saved['gru']}", *SHORT, "publish=pub", "run.dir=results")[0] == 0
    card, teacher = " ".join(Path("pub/README.md").read_text().split()), load_checkpoint(saved["ppo"])
    whole = json.loads(Path("results/evaluation.json").read_text())["totals"]
    for words in (
        "- task `toy`, agent `student`, stage `distill`, iteration 2",
        f"`{load_checkpoint(Path('pub/policy.ckpt')).sha256}`",
        f"`{load_checkpoint(saved['gru']).sha256}`",
        " python play.py ckpt=pub ",
        " python train.py stage=finetune student_ckpt=pub ",
        "2 iterations of 8 steps in 16 environments",
        "stage=distill teacher_ckpt=PATH seed=1 trainer.max_epochs=2",
        "agent.memory=gru agent.memory_width=8",
        "env.max_wind=0.5",
        f"iteration 2, SHA-256 of its checkpoint `{teacher.sha256}`",
        f"| all | | 3 | {whole['success_rate']:.2f} | {whole['falls_per_minute']:.2f} | - |",
        "- In the task's own simulation only: the policy moves no robot that MuJoCo could simulate.",
    ):
        assert words in card


@pytest.mark.usefixtures("no_plots")
def test_a_disturbed_evaluation_says_so(command, saved):
    code, _, err = command(
        play.main, f"ckpt={saved['ppo']}", *SHORT, "disturbed=true", "publish=pub", "run.dir=results"
    )
    assert code == 0, err
    assert json.loads(Path("results/evaluation.json").read_text())["header"]["disturbed"] is True
    assert "play mode, with the noise and pushes of training, seed 1" in Path("pub/README.md").read_text().replace(
        "\n", " "
    )


def test_a_published_policy_teaches_and_starts_new_runs_but_is_not_resumed(command, saved, no_plots):
    for kind in ("ppo", "gru"):
        assert command(play.main, f"ckpt={saved[kind]}", *SHORT, f"publish={kind}", f"run.dir=of_{kind}")[0] == 0
    short = [*SMALL[:2], "trainer.max_epochs=1", "agent.num_steps=8", "logger=[]", "checkpoint.export=false"]
    for number, arguments in enumerate(
        (
            ["stage=distill", "teacher_ckpt=ppo", "agent.teacher_check_steps=0"],
            ["stage=finetune", "student_ckpt=gru"],
            ["task=toy", "init_ckpt=ppo"],
        )
    ):
        assert command(train.main, *arguments, *short, f"run.dir=run{number}")[0] == 0
    code, _, err = command(train.main, "resume=ppo", "trainer.max_epochs=9", "run.dir=new")
    assert code == 2
    assert "'ppo/policy.ckpt' is a published policy" in err
    assert "start a new run from its weights with init_ckpt=ppo/policy.ckpt" in err
    assert not Path("new").exists()


class Payload:
    """Leaves a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize("backend", ["null", "mujoco"])
def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(command, saved, backend: str):
    edited(saved["ppo"], lambda c: c.update(rlmpc=Payload()))
    assert "could run code; refused" in refused(command, "ckpt=edited.ckpt", f"backend={backend}")
    assert not Path("ran").exists()


def edited(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Put a copy of a checkpoint with something changed into the current folder."""
    content = torch.load(path, weights_only=True)
    edit(content)
    torch.save(content, "edited.ckpt")


def terms(content: dict[str, Any], group: str) -> list[dict[str, Any]]:
    return content["hyper_parameters"]["contract"]["observations"][group]


EDITS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "scale": (
        "gru",
        lambda c: terms(c, "policy")[0].update(scale=0.5),
        "observations.policy.target_error.scale: 0.5 | 1",
    ),
    "order of terms": (
        "gru",
        lambda c: terms(c, "policy").insert(0, terms(c, "policy").pop(1)),
        "observations.policy, order: last_action, target_error, position | target_error, last_action, position",
    ),
    "history": (
        "ppo",
        lambda c: (terms(c, "teacher")[4].update(history=8), terms(c, "teacher")[5].update(history=12)),
        "observations.teacher.target_error.history: 8 | 10",
    ),
    "control rate": (
        "rma",
        lambda c: c["hyper_parameters"]["contract"].update(control_dt=0.02),
        "control_dt: 0.02 | 0.05",
    ),
    "action scale": (
        "gru",
        lambda c: c["hyper_parameters"]["contract"]["actions"][0].update(scale=2.0),
        "actions.push.scale: 2 | 4",
    ),
    "network size": (
        "gru",
        lambda c: c["hyper_parameters"]["agent"].update(actor_hidden=[16, 24]),
        "actor.2.weight: float32 [16, 16] | float32 [24, 16]",
    ),
    "memory size": (
        "gru",
        lambda c: c["hyper_parameters"]["agent"].update(memory_width=12),
        "memory.cell.weight_hh: float32 [24, 8] | float32 [36, 12]",
    ),
    "weight left out": (
        "ppo",
        lambda c: c["state_dict"].pop("policy.actor.0.bias"),
        "actor.0.bias: missing | float32 [",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_changed_checkpoint_is_refused_with_what_differs(command, saved, name: str):
    kind, edit, line = EDITS[name]
    edited(saved[kind], edit)
    first, *lines = refused(command, "ckpt=edited.ckpt", *SHORT, "export=true").splitlines()
    assert first.startswith(("'edited.ckpt' does not fit this env", "the weights in 'edited.ckpt' do not fit its netw"))
    assert first.endswith("(there | here):")
    assert any(found.strip().startswith(line) for found in lines)


@pytest.mark.parametrize(
    "edit",
    [
        lambda c: c["rlmpc"]["config"].update(env=[1]),
        lambda c: c["rlmpc"]["config"]["task"].update(name="walk"),
        lambda c: c["rlmpc"].update(numbers=None),
        lambda c: c["hyper_parameters"]["agent"].update(actor_hidden="big"),
        lambda c: c["hyper_parameters"]["agent"].update(actor_hidden=[-1]),
        lambda c: c["hyper_parameters"]["agent"].update(actor_group="robot"),
        lambda c: c["hyper_parameters"]["contract"].update(control_dt=None),
        lambda c: c["hyper_parameters"]["contract"]["actions"][0].update(dim="two"),
        lambda c: terms(c, "teacher")[0].update(dim=2.0),
        lambda c: c["RolloutDataModule"].update(ranks="state"),
        lambda c: c["RolloutDataModule"].update(ranks=[{"curriculum": {"terms": 5}}]),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_refused_in_one_sentence(command, saved, edit):
    edited(saved["ppo"], edit)
    assert len(refused(command, "ckpt=edited.ckpt", *SHORT).splitlines()) == 1


def test_an_argument_that_changes_what_the_policy_sees_is_refused_with_what_differs(command, saved):
    err = refused(command, f"ckpt={saved['gru']}", *SHORT, "env.history=8", "run.dir=results")
    assert err.splitlines()[1:] == [
        f"  observations.policy.{name}.history: 10 | 8" for name in ("target_error", "last_action")
    ]
