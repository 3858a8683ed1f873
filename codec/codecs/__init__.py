"""A model as a codec, one file for each family."""
