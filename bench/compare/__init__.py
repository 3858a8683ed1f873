"""One picture against files of it: `caecodec compare`."""
