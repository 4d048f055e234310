"""Writes a policy for deployment, as a graph that needs neither this package nor torch."""
