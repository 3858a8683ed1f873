"""Model files: found by name or id, and verified. No torch."""
