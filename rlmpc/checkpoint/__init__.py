"""Files that hold a run: how they are found, read as plain data, and written."""
