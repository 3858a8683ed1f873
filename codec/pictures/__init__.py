"""Pictures as arrays: read from any format, saved to one, measured. The only importer of Pillow."""
