"""Configuration: what can be set, and what is refused."""
