"""caecodec within other libraries, on its public API alone."""
