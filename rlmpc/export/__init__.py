"""Writes a policy for where it is deployed, as a graph that needs neither this package nor torch."""
