"""Every status that a command ends with. `docs/reference/cli.md` has the same list."""

from __future__ import annotations

from enum import IntEnum

from usersim.errors import (
    ActionError,
    ConfigError,
    NotStoredError,
    RefusedRowsError,
    SpeakerNotFoundError,
    UserForgottenError,
    UserNotFoundError,
    UsersimError,
)

__all__ = ["ExitCode", "code_of"]


class ExitCode(IntEnum):
    """Statuses of `usersim`, other than `serve-engine`, which ends with the status of vLLM."""

    OK = 0
    """What was asked for was done."""
    ERROR = 1
    """An error; standard error says what happened and what to do next."""
    USAGE = 2
    """The command line is wrong: an option is unknown or missing, options exclude each other, or
    one of them names what is not there: a file, a store, a person, a run, an adapter."""
    INCOMPLETE = 3
    """The command ran to its end, and what was asked for was not done: no row kept, no request
    answered, nobody's task of a fleet done, or, with `--strict`, a row rejected, a request or a
    person's task failed; of `forget`, something of the person remains, which the output names; of
    `study run`, a cell failed."""
    INTERRUPTED = 130
    """Ctrl-C; what was finished is stored, and the same command resumes."""


def code_of(error: UsersimError) -> ExitCode:
    """Return the status of a command that ended with an error."""
    if isinstance(error, RefusedRowsError):
        return ExitCode.INCOMPLETE
    if isinstance(error, UserForgottenError):  # was there when the command began
        return ExitCode.ERROR
    # At the command line, settings and a question's options are its options; a row whose action
    # is not valid is rejected, and never ends a command.
    wrong = (ActionError, ConfigError, UserNotFoundError, SpeakerNotFoundError, NotStoredError)
    return ExitCode.USAGE if isinstance(error, wrong) else ExitCode.ERROR
