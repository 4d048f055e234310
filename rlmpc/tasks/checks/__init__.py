"""Refuse configurations from which no simulation can be made, before anything starts."""
