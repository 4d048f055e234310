"""Unitree G1 with 29 joints: its description as plain data, its USD prims and its Isaac Lab articulation."""
