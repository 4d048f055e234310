"""Watchers of a training run: each reports or saves, and can be removed without changing what is learned."""
