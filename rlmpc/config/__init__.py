"""Configuration: what can be set, how it is composed from files and command line, and what is refused."""
