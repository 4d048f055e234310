"""A batched predictive controller that stands, steps and walks a biped; see `docs/mpc.md`."""
