"""Robots: descriptions as plain data, and how each becomes an Isaac Lab articulation."""
