"""Collects experience with an environment and a policy, one batch at a time."""
