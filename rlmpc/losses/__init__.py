"""Losses and learning rules: pure functions on tensors."""
