"""From the arguments a user types to the config of a command."""
