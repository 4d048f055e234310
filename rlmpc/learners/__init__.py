"""What the LightningModules that train networks share; each algorithm has its own module."""
