from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from rlmpc.algorithms.finetune.settings import FinetuneCfg
from rlmpc.algorithms.student.settings import StudentCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line import train
from rlmpc.command_line.resume import check_fixed
from rlmpc.config.agent import AgentCfg
from rlmpc.config.play import PlayCfg
from rlmpc.config.setting import check_settings, inherited, said_of, setting, settings_of
from rlmpc.config.train import TaskCfg, TrainCfg
from rlmpc.errors import UserError
from rlmpc.losses.distillation import IMITATION_LOSSES
from rlmpc.networks.memory import CELLS
from rlmpc.networks.mlp import ACTIVATIONS


@dataclass
class Inner:
    rate: float = setting(0.5, least=0, most=1)
    weights: dict[str, float] = setting({}, above=0)


@dataclass
class MineCfg(AgentCfg):
    """An agent with settings of its own."""

    algorithm: str = "mine"
    actor_group: str = "policy"
    num_steps: int = 8
    width: int = setting(3, least=1, network=True)
    kind: str | None = setting(None, choices=("fast", None))
    low: float = 0.0
    middle: float = setting(1.0, least="low", below="high")
    high: float = 2.0
    start: int = setting(1, fixed="it is over")
    kinds: list[str] = setting([], choices=("fast", "slow"))
    video: bool = setting(False, needs="path")
    path: str | None = None
    steps: int | None = setting(None, least=1, excludes=("path",))
    inner: Inner = field(default_factory=Inner)
    env: dict = setting({}, excludes=("path",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 0}, "'agent.width' must be at least 1, not 0"),
        ({"num_steps": 0}, "'agent.num_steps' must be at least 1, not 0"),
        ({"actor_hidden": [8, 0]}, "every entry of 'agent.actor_hidden' must be at least 1, not 0"),
        ({"kind": "fst"}, "unknown 'agent.kind' 'fst'; accepted: fast, null; did you mean 'fast'?"),
        ({"kinds": ["fast", "slw"]}, "unknown 'agent.kinds' 'slw'; accepted: fast, slow; did you mean 'slow'?"),
        ({"middle": float("nan")}, "'agent.middle' must be finite, not nan"),
        ({"middle": 2.0}, "'agent.middle' must be at least 'agent.low' = 0.0 and below 'agent.high' = 2.0, not 2.0"),
        ({"inner": Inner(rate=1.5)}, "'agent.inner.rate' must be at least 0 and at most 1, not 1.5"),
        ({"inner": Inner(weights={"a": 0.0})}, "every entry of 'agent.inner.weights' must be above 0, not 0.0"),
        ({"video": True}, "'agent.video' needs path=PATH"),
        ({"steps": 0}, "'agent.steps' must be at least 1, not 0"),
        ({"steps": 1, "path": "a"}, "'agent.steps' has no effect with path=a"),
    ],
)
def test_what_a_setting_says_of_itself_is_checked(changes, sentence):
    check_settings(MineCfg(), "agent.")
    with pytest.raises(UserError) as caught:
        check_settings(MineCfg(**changes), "agent.")
    assert str(caught.value) == sentence


def test_overrides_of_an_environment_may_be_anything():
    check_settings(MineCfg(env={"clip": [float("-inf"), 1.0], "speed": float("inf")}))


def test_what_shapes_the_network_or_is_fixed_cannot_change_on_resume_and_all_else_can():
    def changed(**changes) -> None:
        check_fixed(asdict(TrainCfg(agent=MineCfg())), TrainCfg(agent=MineCfg(**changes)), Path("a.ckpt"))

    changed(kind="fast", high=3.0)
    with pytest.raises(UserError, match=r"'agent.width' cannot change from 3 to 4 in a resumed run: it shapes the net"):
        changed(width=4)
    with pytest.raises(UserError, match=r"'agent.start' cannot change from 1 to 2 in a resumed run: it is over"):
        changed(start=2)


def test_a_later_stage_inherits_the_network_and_the_noise_where_it_has_them():
    trained = vars(MineCfg(width=5, actor_hidden=[9], max_std=1.5, num_steps=2))
    kept = inherited(MineCfg(), trained)
    assert (kept["width"], kept["actor_hidden"], kept["max_std"]) == (5, [9], 1.5)
    assert kept.keys().isdisjoint({"num_steps", "kind", "start", "algorithm"})
    assert "width" not in inherited(FinetuneCfg(), trained)
    assert inherited(FinetuneCfg(), vars(StudentCfg())).keys() == {
        *("actor_group", "actor_hidden", "activation", "memory", "memory_width", "normalize_obs"),
        *("min_std", "max_std", "init_std"),
    }


def test_a_subclass_that_changes_a_default_keeps_what_is_said_of_the_setting():
    assert said_of(MineCfg, "num_steps").least == 1
    assert said_of(FinetuneCfg, "learning_rate").most == "max_lr"
    assert said_of(FinetuneCfg, "learning_rate").least == "min_lr"


def test_the_defaults_of_all_settings_are_accepted_and_bounds_name_settings_that_exist():
    for cfg in (PlayCfg(task=TaskCfg(simulator="toy")), *(algorithm.settings() for algorithm in ALGORITHMS.values())):
        check_settings(cfg)
        for key, _, said, owner in settings_of(cfg):
            named = [limit for limit in (*said.limits.values(), said.needs, said.excludes) if isinstance(limit, str)]
            assert all(hasattr(owner, name) for name in named if name), key


def test_each_object_has_its_own_list():
    first = StudentCfg()
    first.actor_hidden.append(1)
    first.predictions["latent"] = 1.0
    assert (StudentCfg().actor_hidden, StudentCfg().predictions) == ([512, 256, 128], {})


def test_an_attribute_that_settings_do_not_have_is_a_mistake():
    with pytest.raises(TypeError, match="leasst"):
        setting(1, leasst=0)


def test_the_choices_of_settings_are_the_names_that_the_code_knows():
    assert said_of(AgentCfg, "activation").choices == tuple(ACTIVATIONS)
    assert said_of(StudentCfg, "memory").choices == ("none", *CELLS)
    assert said_of(StudentCfg, "loss").choices == IMITATION_LOSSES


def test_algorithms_of_one_stage_start_from_the_same_and_the_checkpoint_has_a_key():
    for algorithm in ALGORITHMS.values():
        assert {a.starts_from for a in ALGORITHMS.values() if a.stage == algorithm.stage} == {algorithm.starts_from}
        assert algorithm.starts_from is None or hasattr(TrainCfg(), f"{algorithm.starts_from}_ckpt")
    assert train.compose_train([])[1] == train.Opened()
