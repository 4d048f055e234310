"""Task `blind_mpc`: the ground of `blind_rl`, walked by a predictive controller whose gait a policy may change."""
