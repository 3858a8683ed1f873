"""What is measured on a picture and its file, and how curves are compared."""
