"""Model-predictive control of two feet: single rigid body, constraints of a contact, and batched solvers."""
