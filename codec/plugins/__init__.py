"""caecodec inside other libraries, on its public functions."""
