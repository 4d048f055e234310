"""Sweeps: many runs that look for the best settings, with Optuna."""
