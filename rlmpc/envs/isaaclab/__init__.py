"""Isaac Lab's environments behind the interface of `rlmpc/envs/vec_env.py`."""
