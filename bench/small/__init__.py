"""Whole test sets of tiny pictures: autoencoders, their latents, and what a classifier reads in them."""
