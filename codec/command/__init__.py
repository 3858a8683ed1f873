"""The command `caecodec`. The only room that prints or exits."""
