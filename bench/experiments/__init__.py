"""Short training runs of equal budget, one change at a time."""
