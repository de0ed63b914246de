"""`python -m training` is `dragoman-train`."""

from training.cli import main

main()
