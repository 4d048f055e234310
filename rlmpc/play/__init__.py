"""What `play.py` does: with a trained policy in its environment or in MuJoCo, or without a policy."""
