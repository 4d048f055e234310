"""From the words that a user types to the config of a command."""
