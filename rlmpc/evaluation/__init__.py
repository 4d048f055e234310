"""Measures a policy over a grid of terrains, levels and commands."""
