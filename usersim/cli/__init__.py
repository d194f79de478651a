"""The command line: parses, calls, prints. Nothing is computed here."""

from usersim.cli.app import main

__all__ = ["main"]
