"""Measures a policy over a grid of terrain kind, level and command."""
