"""Training pictures: photographs, and whole data sets of tiny pictures."""
