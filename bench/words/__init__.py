"""Whether letters stay legible."""
