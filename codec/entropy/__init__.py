"""Exact arithmetic, probabilities and the range coder: what every family's latents are coded with."""
