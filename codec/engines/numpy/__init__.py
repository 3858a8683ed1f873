"""Engines on numpy: always there, and the referee of all others."""
