"""Callbacks of a training run: each shows, saves or stops something; none changes what is learned."""
