"""The commands `caecodec bench` and `caecodec compare`."""
