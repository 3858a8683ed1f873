"""Many files at once, for whoever has them: a command, a notebook, a cluster."""
