"""LightningModules: how networks are trained. One module a stage."""
