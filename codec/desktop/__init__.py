"""What a desktop and a shell are told of caecodec. Standard library only."""
