import torch

from rlmpc.losses.gae import gae

GAMMA, LAM = 0.9, 0.8


def test_gae_of_a_terminal_a_time_out_and_an_unbroken_episode_matches_the_hand_computation():
    """Three environments, three steps, rewards 1, values 0.5, last value 2, everything else as in the columns below."""
    terminated = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    truncated = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)
    terminal_value = torch.tensor([[9.0, 9.0, 9.0], [7.0, 3.0, 9.0], [9.0, 9.0, 9.0]])
    advantage, returns = gae(
        torch.ones(3, 3),
        torch.full((3, 3), 0.5),
        torch.full((3,), 2.0),
        terminal_value,
        terminated,
        truncated,
        GAMMA,
        LAM,
    )
    last = 1 + 0.9 * 2.0 - 0.5  # 2.3: bootstraps with the value after the rollout
    into_next = 1 + 0.9 * 0.5 - 0.5  # 0.95
    fall = 1 - 0.5  # nothing follows a fall
    time_out = 1 + 0.9 * 3.0 - 0.5  # 3.2: bootstraps with the terminal observation's value
    unbroken = into_next + 0.72 * last
    expected = torch.tensor(
        [
            [into_next + 0.72 * fall, into_next + 0.72 * time_out, into_next + 0.72 * unbroken],
            [fall, time_out, unbroken],
            [last, last, last],
        ]
    )
    torch.testing.assert_close(advantage, expected)
    torch.testing.assert_close(returns, expected + 0.5)


def test_a_fall_in_the_step_of_a_time_out_is_a_fall():
    both = torch.ones(1, 1, dtype=torch.bool)
    advantage, _ = gae(
        torch.ones(1, 1), torch.zeros(1, 1), torch.full((1,), 5.0), torch.full((1, 1), 5.0), both, both, GAMMA, LAM
    )
    assert advantage.item() == 1.0


def test_a_terminal_value_that_is_not_finite_does_not_matter_where_nothing_was_truncated():
    nothing = torch.zeros(2, 1, dtype=torch.bool)
    broken = torch.full((2, 1), float("nan"))
    advantage, _ = gae(torch.ones(2, 1), torch.zeros(2, 1), torch.zeros(1), broken, nothing, nothing, GAMMA, LAM)
    assert advantage.isfinite().all()


def test_lambda_one_without_values_is_the_discounted_return():
    never = torch.zeros(4, 1, dtype=torch.bool)
    zeros = torch.zeros(4, 1)
    _, returns = gae(torch.ones(4, 1), zeros, torch.zeros(1), zeros, never, never, GAMMA, lam=1.0)
    expected = torch.tensor([[1 + 0.9 + 0.81 + 0.729], [1 + 0.9 + 0.81], [1.9], [1.0]])
    torch.testing.assert_close(returns, expected)
