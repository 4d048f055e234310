"""The curricula: what becomes harder during training, a file each."""
