"""The viewer of pictures that HTML pages share."""
