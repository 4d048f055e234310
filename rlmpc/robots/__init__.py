"""Robots: measured descriptions, and how each becomes an Isaac Lab articulation."""
