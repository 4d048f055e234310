"""Drives a robot by an exported policy, in real time: MuJoCo's, or one of metal. Needs neither torch nor Isaac Lab."""
