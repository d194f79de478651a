"""The command group `usersim survey`."""

from usersim.cli.survey.commands import register

__all__ = ["register"]
