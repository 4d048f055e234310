"""Runs an exported policy on the robot in plain MuJoCo, without Isaac Lab or torch."""
