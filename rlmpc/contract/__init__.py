"""What a policy and its world agree upon: observations, actions, joints; and what an episode is."""
