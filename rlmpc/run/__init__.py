"""A run: its folder, its logs, its processes, and how it is stopped."""
