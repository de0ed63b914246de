"""What the commands of `dragoman-train` do; `cli.py` only parses them."""
