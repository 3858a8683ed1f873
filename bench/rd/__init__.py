"""Rate and distortion: runs over pictures, their results and the tables of them."""
