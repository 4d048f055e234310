import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from functools import reduce

import pytest
import yaml

from rlmpc.algorithms.ppo.settings import PpoCfg
from rlmpc.algorithms.table import ALGORITHMS
from rlmpc.command_line import files
from rlmpc.command_line.files import choices, list_choices
from rlmpc.command_line.merge import finish
from rlmpc.command_line.play import compose_play
from rlmpc.command_line.train import compose_train
from rlmpc.config.setting import setting
from rlmpc.config.train import TrainCfg
from rlmpc.envs.make import env_config
from rlmpc.errors import UserError


def test_nothing_said_means_the_teacher_of_blind_rl_with_noise_that_goes_down():
    cfg = compose_train([])[0]
    assert (cfg.stage, cfg.task.name, cfg.agent.algorithm) == ("teacher", "blind_rl", "ppo")
    agent = cfg.agent
    assert (agent.init_std, agent.max_std, agent.final_max_std) == (1.0, 1.0, 0.2)
    assert (agent.entropy_coef, agent.final_entropy_coef) == (0.008, 0.0)
    assert (agent.anneal_start, agent.anneal_iterations) == (300, 400)


@pytest.mark.parametrize("task", ["blind_rl", "phase_1_scan_rl"])
@pytest.mark.parametrize("agent", ["ppo", "rma"])
def test_the_reference_task_explores_as_the_reference(task: str, agent: str):
    here, there = (compose_train([f"task={name}", f"agent={agent}"])[0].agent for name in (task, f"{task}_reference"))
    differing = {name for name, value in vars(here).items() if value != getattr(there, name)}
    expected = {"entropy_coef", "max_std", "final_entropy_coef", "final_max_std"}
    if (task, agent) == ("phase_1_scan_rl", "rma"):
        assert (there.regularizer_start, there.regularizer_ramp) == (2000, 3000)
        expected |= {"regularizer_start", "regularizer_ramp", "scan_bounded", "recent_frames"}
    assert differing == expected
    assert (there.init_std, there.entropy_coef, there.max_std) == (1.0, 0.01, 2.0)
    assert (there.final_entropy_coef, there.final_max_std) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["agent.final_max_std=0.01"], "'agent.final_max_std' must be at least 'agent.min_std' = 0.05 .* not 0.01"),
        (["agent.final_max_std=3"], "'agent.final_max_std' must .* at most 'agent.max_std' = 1.0, not 3.0"),
        (["agent.final_entropy_coef=-1"], "'agent.final_entropy_coef' must be at least 0"),
        (["agent.anneal_iterations=-1"], "'agent.anneal_iterations' must be at least 0"),
    ],
)
def test_exploration_is_annealed_within_its_bounds_only(arguments: list[str], sentence: str):
    with pytest.raises(UserError, match=sentence):
        compose_train(arguments)


def test_other_numbers_of_the_reference_are_those_of_the_settings():
    cfg = compose_train(["task=blind_rl_reference"])[0]
    assert (cfg.stage, cfg.task.name, cfg.agent.algorithm) == ("teacher", "blind_rl_reference", "ppo")
    agent = cfg.agent
    assert (agent.actor_hidden, agent.activation, agent.init_std) == ([512, 256, 128], "elu", 1.0)
    assert (agent.num_steps, agent.num_epochs, agent.num_minibatches) == (24, 5, 4)
    assert (agent.learning_rate, agent.desired_kl, agent.min_lr, agent.max_lr) == (1e-3, 0.01, 1e-5, 1e-2)
    assert (agent.gamma, agent.lam, agent.clip, agent.entropy_coef) == (0.99, 0.95, 0.2, 0.01)
    assert (agent.actor_group, agent.critic_group) == ("teacher", "critic")
    assert (cfg.trainer.max_epochs, cfg.checkpoint.every) == (50_000, 100)
    assert (cfg.task.num_envs.cpu, cfg.task.num_envs.cuda) == (64, 4096)


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """A copy of `conf/` to which files may be added."""
    folder = tmp_path / "conf"
    shutil.copytree(files.CONF_DIR, folder)
    monkeypatch.setattr(files, "CONF_DIR", folder)
    return folder


def test_the_command_line_wins_over_the_agents_file_which_wins_over_the_task(conf):
    assert compose_train(["task=toy"])[0].agent.actor_hidden == [64, 64]
    assert compose_train(["task=toy", "agent.actor_hidden=[8]"])[0].agent.actor_hidden == [8]
    (conf / "agent/mine.yaml").write_text("agent: {algorithm: rma, history_every: 10, actor_hidden: [16]}")
    agent = compose_train(["task=toy", "agent=mine", "agent.latent_dim=8"])[0].agent
    assert (agent.algorithm, agent.history_every, agent.actor_hidden, agent.latent_dim) == ("rma", 10, [16], 8)
    assert agent.privileged_terms == ["gain", "drag", "wind"]


def test_a_task_adjusts_only_the_algorithm_that_it_names():
    scan = compose_train(["task=phase_1_scan_rl"])[0].agent
    assert (scan.algorithm, scan.scan_terms) == ("rma", ["height_scan"])
    assert compose_train(["task=blind_rl", "agent=rma"])[0].agent.scan_terms == []
    assert not hasattr(compose_train(["task=phase_1_scan_rl", "agent=ppo"])[0].agent, "scan_terms")


def test_a_task_adjusts_several_algorithms_at_once_and_what_comes_later_wins(conf):
    (conf / "task/mine.yaml").write_text("{base: toy, agents: {'ppo, rma,finetune': {gamma: 0.9}, rma: {gamma: 0.8}}}")
    (conf / "task/heir.yaml").write_text("{base: mine, agents: {'ppo,rma': {lam: 0.7}}}")
    agents = [compose_train(["task=heir", f"agent={name}"])[0].agent for name in ("ppo", "rma")]
    assert [(agent.gamma, agent.lam) for agent in agents] == [(0.9, 0.7), (0.8, 0.7)]
    assert files.load_choice("task", "heir")["agents"]["finetune"] == {"critic_hidden": ["64", "64"], "gamma": "0.9"}


@dataclass
class MineCfg(PpoCfg):
    """An algorithm of one's own."""

    algorithm: str = "mine"
    temperature: float = setting(1.0, above=0)


def test_an_algorithm_is_known_by_its_line_in_the_table_and_its_file(conf, monkeypatch):
    monkeypatch.setitem(ALGORITHMS, "mine", replace(ALGORITHMS["ppo"], name="mine", settings=MineCfg))
    (conf / "agent/mine.yaml").write_text("agent: {algorithm: mine}")
    (conf / "task/mine.yaml").write_text("{base: toy, agents: {mine: {temperature: 0.5}}}")
    assert compose_train(["task=mine", "agent=mine"])[0].agent == MineCfg(actor_hidden=[64, 64], temperature=0.5)
    with pytest.raises(UserError, match=r"'agent.temperature' must be above 0, not 0"):
        compose_train(["task=mine", "agent=mine", "agent.temperature=0"])
    with pytest.raises(UserError, match="stage 'teacher' does not train agent 'student'; accepted: ppo, rma, mine"):
        compose_train(["task=toy", "agent=student"])


def test_a_task_may_start_from_another_one(conf):
    (conf / "task/mine.yaml").write_text("{base: base_of_mine, task: {name: mine}, agents: {rma: {imu_terms: [gyro]}}}")
    (conf / "task/base_of_mine.yaml").write_text("{base: blind_rl, task: {num_envs: {cpu: 2}}, agent: {gamma: 0.9}}")
    cfg, _ = compose_train(["task=mine", "agent=rma"])
    assert (cfg.task.name, cfg.task.env_id, cfg.task.num_envs.cpu) == ("mine", "RLMPC-Blind-G1-v0", 2)
    assert (cfg.agent.gamma, cfg.agent.imu_terms) == (0.9, ["gyro"])
    assert cfg.agent.history_terms == ["joint_pos", "joint_vel"]


def test_a_task_that_does_not_say_what_an_agent_needs_is_refused_unless_arguments_do(conf):
    (conf / "task/mine.yaml").write_text("task: {name: mine, simulator: toy, default_agent: rma}")
    with pytest.raises(UserError) as caught:
        compose_train(["task=mine"])
    assert str(caught.value) == (
        "neither a file under conf/ nor an argument says what 'agent.history_terms' is, which has no default"
    )
    terms = ["agent.velocity_term=v", *(f"agent.{role}_terms=[{role}]" for role in ("history", "imu", "privileged"))]
    assert compose_train(["task=mine", *terms])[0].agent.history_terms == ["history"]


def test_where_there_is_no_conf_folder_one_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "CONF_DIR", tmp_path / "conf")
    for command in (
        list_choices,
        lambda: compose_train(["task=toy"]),
        lambda: compose_play(["task=toy", "policy=zero"]),
    ):
        with pytest.raises(UserError, match="conf'; run the commands from a clone of the repository"):
            command()


def test_a_config_without_a_checkpoint_is_composed_without_the_libraries_that_take_seconds_to_import():
    script = """
import sys
for library in ("torch", "lightning", "numpy", "matplotlib", "isaaclab"):
    sys.modules[library] = None
import play
from rlmpc.command_line.train import compose_train
compose_train(["task=phase_1_scan_rl"]), play.compose_play(["task=toy", "policy=zero"])
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=files.CONF_DIR.parent)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("agent/mine", "agent: {algorithm: rmaa}", "'agent.algorithm' is 'rmaa'; accepted: ppo, rma, student"),
        ("agent/mine", "agent: {gamma: 0.9}", "conf/agent/mine.yaml: 'agent.algorithm' is missing; accepted: ppo, rma"),
        ("agent/mine", "", "conf/agent/mine.yaml: 'agent.algorithm' is missing"),
        ("agent/mine", "agent: 3", "conf/agent/mine.yaml: 'agent.algorithm' is missing"),
        ("agent/mine", "[1, 2]", "conf/agent/mine.yaml must hold a mapping"),
        ("agent/mine", "agent: {", "conf/agent/mine.yaml is not valid YAML"),
        ("agent/mine", "agent: {algorithm: ppo, latent_dim: 8}", "a file under conf/ does not fit the schema"),
        ("task/mine", "task: {name: mine}", "mine.yaml: 'task.default_agent' is missing; accepted: finetune, mine"),
        ("stage/mine", "stage: mine", "conf/stage/mine.yaml: 'stage' is 'mine'; accepted: teacher, distill, finetune"),
        ("task/mine", "base: blind", "'base' is 'blind'; accepted: blind_mpc, blind_mpc_flat, blind_rl, blind_rl_flat"),
        ("task/mine", "base: mine", "conf/task/mine.yaml: 'base' is 'mine', which itself starts from this file"),
        ("task/mine", "task: {default_agent: ppo}\nagents: [rma]", "'agents' must map an algorithm to settings"),
        ("task/mine", "task: {default_agent: ppo}\nagents:", "'agents' must map an algorithm to settings"),
        ("task/mine", "task: {default_agent: ppo}\nagents: {rmaa: {}}", "'agents' is 'rmaa'; accepted: ppo, rma"),
        ("task/mine", "task: {default_agent: ppo}\nagents: {rma: {histry_every: 2}}", "'agents.rma' does not fit"),
        ("task/mine", "task: {default_agent: ppo}\nagents: {'ppo, rm': {}}", "'agents' is 'rm'; accepted: ppo, rma"),
        ("task/mine", "task: {default_agent: ppo}\nagents: {'rma,': {}}", "'agents' is ''; accepted: ppo, rma"),
        ("task/mine", "task: {default_agent: ppo}\nagents: {'rma,ppo': {latent_dim: 2}}", "'agents.ppo' does not fit"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named_with_what_is_wrong_in_it(conf, file, text, sentence):
    (conf / "agent/mine.yaml").write_text("agent: {algorithm: ppo}")
    (conf / f"{file}.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        compose_train(["task=toy", f"{file.split('/')[0]}=mine"] if "task" not in file else ["task=mine"])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_scripted_keys_stay():
    cfg = compose_train(
        ["task=toy", "seed=0", "device=cpu", "num_envs=8", "run.dir=out", "trainer.max_epochs=3", "trainer.devices=2",
         "checkpoint.every=5", "checkpoint.keep_last=2", "logger=[csv]", "agent.gamma=0.9", "env.arena_half_size=3"]
    )[0]  # fmt: skip
    assert (cfg.seed, cfg.device, cfg.num_envs, cfg.run.dir, cfg.logger) == (0, "cpu", 8, "out", ["csv"])
    assert (cfg.trainer.max_epochs, cfg.trainer.devices, cfg.checkpoint.every, cfg.checkpoint.keep_last) == (3, 2, 5, 2)
    assert cfg.agent.gamma == 0.9
    assert cfg.env == {"arena_half_size": 3}


@pytest.mark.parametrize(
    ("argument", "key", "value"),
    [
        ("run.dir=20241125_1", "run.dir", "20241125_1"),
        ("run.dir=1e5", "run.dir", "1e5"),
        ("run.dir=[/x]", "run.dir", "[/x]"),
        ("run.dir=${x}", "run.dir", "${x}"),
        ("run.dir=~/x", "run.dir", "{home}/x"),
        ("run={dir: ~/x}", "run.dir", "{home}/x"),
        ("run.root=link/..", "run.root", "a"),
        ("run.dir=null", "run.dir", None),
        ("device=0123", "device", "0123"),
        ("seed=010", "seed", 10),
        ("num_envs=1e3", "num_envs", 1000),
        ("agent.gamma=.5", "agent.gamma", 0.5),
        ("agent.actor_hidden=[010,1e1]", "agent.actor_hidden", [10, 10]),
        ("trainer={max_epochs: 010, devices: 2}", "trainer.max_epochs", 10),
        ("logger=[]", "logger", []),
        ("env.max_wind=-.5", "env", {"max_wind": "-.5"}),
        ("env.max_wind=0.5", "env", {"max_wind": 0.5}),
        ("env.anything=${x}", "env", {"anything": "${x}"}),
        ("env.a={b: {c: .5}}", "env", {"a": {"b": {"c": ".5"}}}),
        ("env={a: {b: 010}, c: [x]}", "env", {"a": {"b": "010"}, "c": ["x"]}),
    ],
)
def test_what_is_typed_is_taken_as_typed(argument, key, value, tmp_path, monkeypatch):
    home, here = tmp_path.resolve() / "home", tmp_path.resolve() / "here"
    (here / "a/b").mkdir(parents=True)
    (here / "link").symlink_to("a/b")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    found = reduce(getattr, key.split("."), compose_train(["task=toy", argument])[0])
    assert found == (value.format(home=home) if value == "{home}/x" else value)
    assert type(found) is type(value)


def test_a_file_of_settings_is_read_in_the_same_way(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path.resolve()))
    (conf / "task/mine.yaml").write_text(
        "{base: toy, task: {name: 20241125_1}, run: {dir: ~/1_0}, num_envs: 010, env: {max_wind: 0.5, robot: yes}}"
    )
    cfg = compose_train(["task=mine"])[0]
    assert (cfg.task.name, cfg.run.dir, cfg.num_envs) == ("20241125_1", f"{tmp_path.resolve()}/1_0", 10)
    assert cfg.env == {"max_wind": 0.5, "robot": "yes"}


def test_what_was_composed_is_recorded_and_read_back_unchanged():
    typed = ["run.root=${x", "device=010", "env.max_wind=.5", "env.gain_range=[-.5, 1]", "env.position_noise=1e-3"]
    cfg = compose_train(["task=toy", *typed])[0]
    there = yaml.safe_load(yaml.safe_dump(asdict(cfg)))
    assert finish(TrainCfg(agent=PpoCfg()), [there], {}, "the record", is_typed=False) == cfg
    assert env_config(cfg.task, {"max_wind": ".5", "gain_range": "[0.5, 010]"}).gain_range == (0.5, 10.0)


def test_a_path_in_a_checkpoint_is_kept_as_it_is():
    cfg = finish(TrainCfg(), [{"teacher_ckpt": "~/x"}, {"task": {"name": "a", "simulator": "toy", "default_agent": "b"},
        "stage": "a", "agent": {"algorithm": "a", "actor_group": "a"}}], {}, "it", is_typed=False)  # fmt: skip
    assert cfg.teacher_ckpt == "~/x"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stage=teach"], "unknown stage 'teach'; accepted: distill, finetune, teacher; did you mean 'teacher'?"),
        (["task=blind"], "unknown task 'blind'"),
        (["agent=pp"], "unknown agent 'pp'; accepted: finetune, ppo, rma, student; did you mean 'ppo'?"),
        (["agent.lerning_rate=1"], "unknown key 'agent.lerning_rate'; did you mean 'agent.learning_rate'?"),
        (["sed=1"], "unknown key 'sed'; did you mean 'seed'?"),
        (["seed.value=1"], "'seed' has no fields"),
        (["seed=one"], "'seed' cannot be 'one'"),
        (["agent.gamma=high"], "'agent.gamma' cannot be 'high'"),
        (["trainer=3"], "'trainer' cannot be '3': it is a section, set one of trainer.max_epochs, trainer.devices"),
        (["agent.actor_hidden=[a]"], "'agent.actor_hidden' cannot be ['a']"),
        (["seed=1", "seed=2"], "'seed' is given twice"),
        (["trainer={devices: 2}", "trainer.devices=3"], "'trainer.devices' is given twice"),
        (["env.a.b=1", "env.a=2"], "'env.a.b' and 'env.a' are both given, and one holds the other"),
        (["trainer={max_epochs:3}"], "unknown key 'trainer.max_epochs:3'; did you mean 'trainer.max_epochs'?"),
        (["seed=0x10"], "'seed' cannot be '0x10': it takes an integer in decimal digits"),
        (["seed=null"], "'seed' cannot be 'null': it takes an integer"),
        (["num_envs=none"], "'num_envs' cannot be 'none': it takes an integer in decimal digits, or null"),
        (["logger=[csv,csv]"], "'logger' names 'csv' twice"),
        (["agent=rma", "agent.imu_terms=[a,b,a]"], "'agent.imu_terms' names 'a' twice"),
        (["env=3"], "'env' cannot be '3': it takes a mapping in braces"),
        (["run.dir="], "'run.dir' is empty; give a path"),
        (["run.dir=~nobody-here/x"], "'run.dir': there is no home folder ~nobody-here"),
        (["logger=" + "[" * 100_000], "it nests more than 20 lists and mappings"),
        (["env" + ".a" * 5000 + "=1"], "has more than 20 parts; no setting lies as deep"),
        (["num_envs=1e9"], "'num_envs' must be at most 1000000, not 1000000000"),
        (["agent.num_steps=1e12"], "'agent.num_steps' must be at most 1000000, not 1000000000000"),
        (["agent.actor_hidden=[1e9]"], "every entry of 'agent.actor_hidden' must be at most 65536, not 1000000000"),
        (["trainer.devices=1e9"], "'trainer.devices' must be at most 1024"),
        (["trainer.max_epochs=1e19"], "it takes an integer up to 9223372036854775807"),
        (["task=nope", "sed=1"], "unknown key 'sed'"),
        (["resume=nowhere", "sed=1"], "unknown key 'sed'"),
        (["resume=nowhere", "seed=x"], "'seed' cannot be 'x'"),
        (["stage=distill", "agent.nope=1"], "unknown key 'agent.nope'"),
        (["stage=distill", "task=nope"], "unknown task 'nope'"),
        (["blind_rl"], "'blind_rl' is not an override; write task=blind_rl"),
        (["seed=${nope}"], "'seed' cannot be '${nope}'"),
        (["task.name=walk"], "'task.name' belongs to the task's file; choose another task with task=..."),
        (["task.simulator=foo"], "'task.simulator' belongs to the task's file"),
    ],
)
def test_what_cannot_be_composed_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(UserError) as caught:
        compose_train(arguments)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_choice_composes_and_is_listed():
    for task in choices("task"):
        assert compose_train([f"task={task}"])[0].task.name == task
        assert task in list_choices()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "play.py needs ckpt=PATH, or policy=zero or policy=random and task=<name>"),
        (["task=toy"], "task=toy needs policy=zero or policy=random"),
        (["task=toy", "policy=zeros"], "did you mean 'zero'?"),
        (["task=toy", "policy=zero", "step=3"], "unknown key 'step'; did you mean 'steps'?"),
        (["checkpoint=x"], "unknown key 'checkpoint'; did you mean 'ckpt'?"),
        (["ckpt=nowhere", "robots=x"], "'robots' cannot be 'x'"),
        (["ckpt=~nobody-here/x"], "'ckpt': there is no home folder ~nobody-here"),
        (["ckpt="], "'ckpt' is empty; give a path"),
        (["replay="], "'replay' is empty; give a path"),
        (["run=3"], "'run' cannot be '3': it is a section, set one of run.dir, run.root"),
        (["task=toy", "policy=zero", "num_envs=1e9"], "'num_envs' must be at most 1000000"),
    ],
)
def test_play_says_what_it_needs(arguments, sentence):
    with pytest.raises(UserError) as caught:
        compose_play(arguments)
    assert sentence in str(caught.value)
