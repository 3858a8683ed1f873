"""The networks of every family, and what they share."""
