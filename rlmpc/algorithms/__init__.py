"""The algorithms: each has its settings, its policy and its learner in a folder; `table.py` lists them."""
