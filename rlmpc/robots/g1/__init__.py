"""Unitree G1 with 29 joints: its numbers, and the roles of its parts in walking."""
