"""The engine on PyTorch. The only importer of torch on the coding side."""
