"""Watch a training run: each callback shows or saves something; without it the same is learned."""
