"""What a policy and its environment agree on: observations, actions, joints; and what an episode is."""
