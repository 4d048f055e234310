"""Vectorised environments: the contract, the Isaac Lab adapter and the toy environment."""
