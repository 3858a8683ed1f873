"""Latents <-> bytes, one file for each family of models. No float network."""
