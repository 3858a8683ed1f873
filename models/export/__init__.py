"""A trained checkpoint becomes a model file."""
