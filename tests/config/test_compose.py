import pytest

from rlmpc.config.compose import choices, compose_play, compose_train, list_choices
from rlmpc.errors import UserError


def test_nothing_said_means_the_teacher_of_blind_rl_with_the_reference_numbers():
    cfg = compose_train([])
    assert (cfg.stage, cfg.task.name, cfg.agent.algorithm) == ("teacher", "blind_rl", "ppo")
    agent = cfg.agent
    assert (agent.actor_hidden, agent.activation, agent.init_std) == ([512, 256, 128], "elu", 1.0)
    assert (agent.num_steps, agent.num_epochs, agent.num_minibatches) == (24, 5, 4)
    assert (agent.learning_rate, agent.desired_kl, agent.min_lr, agent.max_lr) == (1e-3, 0.01, 1e-5, 1e-2)
    assert (agent.gamma, agent.lam, agent.clip, agent.entropy_coef) == (0.99, 0.95, 0.2, 0.01)
    assert (agent.actor_group, agent.critic_group) == ("teacher", "critic")
    assert (cfg.trainer.max_epochs, cfg.checkpoint.every) == (50_000, 100)
    assert (cfg.task.num_envs.cpu, cfg.task.num_envs.cuda) == (64, 4096)


def test_the_command_line_wins_over_the_task_which_wins_over_the_agent():
    assert compose_train(["task=toy"]).agent.actor_hidden == [64, 64]
    assert compose_train(["task=toy", "agent.actor_hidden=[8]"]).agent.actor_hidden == [8]


def test_the_scripted_keys_stay():
    cfg = compose_train(
        ["task=toy", "seed=0", "device=cpu", "num_envs=8", "run.dir=out", "trainer.max_epochs=3", "trainer.devices=2",
         "checkpoint.every=5", "checkpoint.keep_last=2", "logger=[csv]", "agent.gamma=0.9", "env.arena_half_size=3"]
    )  # fmt: skip
    assert (cfg.seed, cfg.device, cfg.num_envs, cfg.run.dir, cfg.logger) == (0, "cpu", 8, "out", ["csv"])
    assert (cfg.trainer.max_epochs, cfg.trainer.devices, cfg.checkpoint.every, cfg.checkpoint.keep_last) == (3, 2, 5, 2)
    assert cfg.agent.gamma == 0.9
    assert cfg.env == {"arena_half_size": 3}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stage=teach"], "unknown stage 'teach'; accepted: teacher; did you mean 'teacher'?"),
        (["task=blind"], "unknown task 'blind'"),
        (["agent=pp"], "unknown agent 'pp'; accepted: ppo, rma; did you mean 'ppo'?"),
        (["agent.lerning_rate=1"], "unknown key 'agent.lerning_rate'; did you mean 'agent.learning_rate'?"),
        (["sed=1"], "unknown key 'sed'; did you mean 'seed'?"),
        (["seed.value=1"], "'seed' has no fields"),
        (["seed=one"], "'seed' cannot be 'one'"),
        (["agent.gamma=high"], "'agent.gamma' cannot be 'high'"),
        (["trainer=3"], "'trainer' cannot be 3"),
        (["agent.actor_hidden=[a]"], "'agent.actor_hidden' cannot be ['a']"),
        (["seed=1", "seed=2"], "'seed' is given twice"),
    ],
)
def test_what_cannot_be_composed_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(UserError) as caught:
        compose_train(arguments)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_choice_composes_and_is_listed():
    for task in choices("task"):
        assert compose_train([f"task={task}"]).task.name == task
        assert task in list_choices()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "play.py needs a task"),
        (["task=toy"], "accepted: policy=zero, policy=random"),
        (["task=toy", "policy=zeros"], "did you mean 'zero'?"),
        (["task=toy", "policy=zero", "step=3"], "unknown key 'step'; did you mean 'steps'?"),
    ],
)
def test_play_says_what_it_needs(arguments, sentence):
    with pytest.raises(UserError) as caught:
        compose_play(arguments)
    assert sentence in str(caught.value)
