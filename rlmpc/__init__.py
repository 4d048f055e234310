"""Teacher-student reinforcement learning for legged robots on Isaac Lab, structured by PyTorch Lightning."""

__version__ = "0.1.0"
