"""Files of the user: read, written whole or not at all, and named."""
