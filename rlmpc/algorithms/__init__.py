"""The algorithms: a folder each, with settings, policy and learner; `table.py` lists them."""
