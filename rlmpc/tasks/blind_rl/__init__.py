"""Task `blind_rl`: walking over stairs and rough ground without seeing them."""
