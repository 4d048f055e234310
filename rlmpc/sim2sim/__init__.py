"""Drives the robot in plain MuJoCo with an exported policy: no Isaac Lab, no torch."""
