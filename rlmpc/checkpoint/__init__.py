"""Files that hold a run: finding them, reading them as plain data, and writing them."""
