"""Networks, training and trained weights of caecodec."""
