"""From environment and policy to one batch of experience."""
