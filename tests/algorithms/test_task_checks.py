import pytest

from rlmpc.command_line.train import compose_train
from rlmpc.envs.make import observation_terms
from rlmpc.envs.toy import ToyEnvCfg
from rlmpc.errors import UserError

TERMS = {
    "policy": {"target_error": 10, "last_action": 10, "position": 1},
    "critic": {"velocity": 1, "gain": 1, "drag": 1, "wind": 1, "target_error": 10, "last_action": 10, "position": 1},
}


def check(*arguments: str, terms: dict[str, dict[str, int]] = TERMS) -> None:
    cfg, _ = compose_train(["task=toy", "agent=rma", *arguments])
    cfg.agent.check_task(terms, cfg.task.name)


def test_the_agent_of_the_toy_task_fits_it():
    terms = observation_terms(compose_train(["task=toy"])[0].task, ToyEnvCfg())
    assert terms["policy"] == TERMS["policy"]
    check(terms=terms)


def refusal(*arguments: str, terms: dict[str, dict[str, int]] = TERMS) -> str:
    with pytest.raises(UserError) as caught:
        check(*arguments, terms=terms)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_group_that_the_task_lacks_is_named_with_those_that_it_has():
    assert refusal("agent.privileged_group=critics") == (
        "agent 'rma' needs the observation group 'critics' (agent.privileged_group), "
        "but task 'toy' has policy, critic; did you mean 'critic'?"
    )
    only_sensed = {"policy": TERMS["policy"]}
    assert "needs the observation group 'critic' (agent.critic_group)" in refusal(terms=only_sensed)


@pytest.mark.parametrize("key", ["privileged_terms", "velocity_term", "history_terms", "imu_terms", "scan_terms"])
def test_a_term_that_the_task_lacks_is_named_with_its_group_and_those_that_are_there(key: str):
    group = "critic" if key in ("privileged_terms", "velocity_term") else "policy"
    value = "gian" if key == "velocity_term" else "[gian]"
    hint = "; did you mean 'gain'?" if group == "critic" else ""
    assert refusal(f"agent.{key}={value}") == (
        f"agent 'rma' needs the term 'gian' (agent.{key}) in the observation group '{group}', "
        f"which in task 'toy' has {', '.join(TERMS[group])}{hint}"
    )


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("history_terms=[]", "'agent.history_terms' is empty"),
        ("privileged_terms=[]", "'agent.privileged_terms' is empty"),
        (
            "privileged_terms=[gain,gain]",
            "'agent.privileged_terms' names 'gain' twice",
        ),
        ("recent_frames=11", "'agent.recent_frames' must not exceed the frames of agent.history_terms"),
        ("estimator_frames=12", "'agent.estimator_frames' must not exceed"),
        ("compat=refrence", "unknown 'agent.compat' 'refrence'; accepted: reference, null; did you mean 'reference'?"),
        ("history_every=1", "'agent.history_every' must be at least 2, not 1"),
        ("regularizer_weight=.inf", "'agent.regularizer_weight' must be finite, not inf"),
        ("clip=.nan", "'agent.clip' must be finite, not nan"),
        ("imu_terms=[target_error]", "'target_error' is named twice, in 'agent.history_terms' and 'agent.imu_terms'"),
        (
            "privileged_terms=[velocity]",
            "'velocity' is named twice, in 'agent.privileged_terms' and 'agent.velocity_term'",
        ),
        (
            "actor_group=critic",
            "'agent.actor_group' is 'critic', which shows the actor 'gain' (agent.privileged_terms)",
        ),
        ("latent_dim=0", "'agent.latent_dim' must be at least 1, not 0"),
        ("regularizer_start=-1", "'agent.regularizer_start' must be at least 0, not -1"),
        ("regularizer_weight=-1", "'agent.regularizer_weight' must be at least 0, not -1"),
        ("history_lr=0", "'agent.history_lr' must be above 0"),
        ("scan_hidden=[0]", "every entry of 'agent.scan_hidden' must be at least 1, not 0"),
        ("algorithm=ppo", "'agent.algorithm' belongs to the agent's file; choose another agent with agent=..."),
    ],
)
def test_a_setting_that_makes_no_agent_is_refused_in_one_sentence(argument: str, sentence: str):
    assert sentence in refusal(f"agent.{argument}")


def test_histories_of_different_lengths_are_refused():
    mixed = refusal("agent.history_terms=[target_error,position]", "agent.estimator_imu=false")
    assert "agent.history_terms keep: 'target_error' 10, 'position' 1" in mixed


@pytest.mark.parametrize("frames", [5, 7])
def test_a_history_that_the_convolution_cannot_take_is_refused_with_what_it_takes(frames: int):
    terms = {group: {name: frames if n == 10 else n for name, n in kept.items()} for group, kept in TERMS.items()}
    sentence = refusal("agent.estimator_frames=1", terms=terms)
    assert "equally many frames, an even number of at least 6" in sentence
    assert f"'target_error' {frames}, 'last_action' {frames}" in sentence


def test_an_unused_imu_need_not_exist():
    assert "the term 'gyro'" in refusal("agent.imu_terms=[gyro]")
    check("agent.estimator_imu=false", "agent.imu_terms=[gyro]")
