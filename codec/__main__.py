"""`python -m caecodec`."""

from caecodec.cli import main

main()
