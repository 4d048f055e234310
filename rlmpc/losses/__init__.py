"""Losses and estimates of returns: pure functions on tensors."""
