"""Unitree G1 with 29 joints: its numbers, and what its parts are to a walker."""
