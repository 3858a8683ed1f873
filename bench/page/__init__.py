"""The HTML page of `caecodec bench report`."""
