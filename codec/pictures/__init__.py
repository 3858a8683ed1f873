"""Pictures as arrays: read from any format, saved to one, measured. Where Pillow is used."""
