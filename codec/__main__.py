"""`python -m caecodec`."""

from caecodec.command.main import main

main()
