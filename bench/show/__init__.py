"""What README and newcomers see: the demo, the figure, the tables."""
