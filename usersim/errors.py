"""Every error that usersim raises on purpose, in one tree.

    UsersimError                     retryable = False; `hint` says the next step, in Python and,
                                     where that differs, at the command line (`cli_hint`)
    ├─ ConfigError(ValueError)       a setting is wrong
    │  └─ ArgumentError(TypeError)   an argument is unknown, missing or of a wrong type
    ├─ MissingDependencyError(ImportError)
    │                                an optional package is not installed; names the extra
    ├─ ActionError(ValueError)       a value does not belong to its action space
    ├─ CorpusError                   the corpus or its store
    │  ├─ CorpusFormatError          a source cannot be read as any known format
    │  ├─ RefusedRowsError           rows were refused: all requests, or one and `strict=True`
    │  ├─ CorpusSchemaError          the database belongs to another schema version
    │  ├─ UserNotFoundError(LookupError)
    │  │  └─ UserForgottenError      somebody was forgotten while their data was in use
    │  ├─ SpeakerNotFoundError(LookupError)
    │  │                             who is modeled in a chat is not named; lists who speaks
    │  ├─ NotStoredError(LookupError) no such interaction, candidate, run or answer
    │  ├─ FleetHeldError             another process drives the fleet
    │  └─ EmptySplitError            too few interactions for what was asked
    ├─ PromptError                   an undefined variable or an unknown template
    ├─ TranscriptError               a text is not "reasoning, then action"; keeps the text
    ├─ EngineError                   running a model
    │  ├─ EngineUnavailableError     retryable
    │  ├─ EngineAccessError          a server does not know the caller; its key is missing or wrong
    │  ├─ EngineNotFoundError        a server does not know the model or the path
    │  ├─ EngineTimeoutError         retryable
    │  ├─ EngineResponseError        retryable; a reply that cannot be read
    │  ├─ CapabilityError            the engine cannot do what was asked
    │  ├─ ModelLoadError             the base model cannot be loaded
    │  ├─ ContextLengthError         the request does not fit the model
    │  └─ AdapterLoadError           an adapter is damaged or made for another base model
    ├─ AssistantError                an assistant failed, or said something else than text
    ├─ ScoringError                  a fidelity score cannot be computed
    ├─ TrainingError
    │  ├─ NoTrainingDataError
    │  └─ DivergedError              NaN or exploding loss; the last good checkpoint is kept
    ├─ ArtifactError                 a saved simulator or adapter folder is incomplete or altered
    ├─ EvaluationError
    │  └─ WeightingError             respondents cannot be weighted to the margins asked for
    │     ├─ EmptyCellError          a margin has a category without respondents, or the reverse
    │     └─ ImpossibleMarginsError  no weights meet all margins at once
    ├─ FleetError                    workers cannot be started, or the cluster is gone
    │  └─ WorkerLostError            a worker is gone in the middle of its work
    ├─ SurveyError                   an instrument is wrong; every problem found is listed
    │  ├─ ExpressionError            a condition of an instrument cannot be read
    │  └─ SurveyFileError            a survey's file cannot be read or written
    └─ RefusedRequestError           the endpoint does not do what a request asks; knows its status

Four rules hold everywhere:

1. Vocabulary: a programming mistake inside the library is an `assert`; a mistake that a caller
   can make has a class here.
2. Message: what happened with the value (`!r`), for which user and item, and the next step.
   Messages name neither arguments nor flags, so that they fit both surfaces. A `hint` that names
   an argument, a class or a call comes with a `cli_hint` that names the flag or the file.
3. Boundary: `boundary()` is the only broad `except`, used where foreign code is entered.
4. Capture: one item's failure is data (`usersim.types.Failure`); only a failure of the whole
   run is raised.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import ClassVar

__all__ = [
    "ActionError",
    "AdapterLoadError",
    "ArgumentError",
    "ArtifactError",
    "AssistantError",
    "CapabilityError",
    "ConfigError",
    "ContextLengthError",
    "CorpusError",
    "CorpusFormatError",
    "CorpusSchemaError",
    "DivergedError",
    "EmptyCellError",
    "EmptySplitError",
    "EngineAccessError",
    "EngineError",
    "EngineNotFoundError",
    "EngineResponseError",
    "EngineTimeoutError",
    "EngineUnavailableError",
    "EvaluationError",
    "ExpressionError",
    "FleetError",
    "FleetHeldError",
    "ImpossibleMarginsError",
    "MissingDependencyError",
    "ModelLoadError",
    "NoTrainingDataError",
    "NotStoredError",
    "PromptError",
    "RefusedRequestError",
    "RefusedRowsError",
    "ScoringError",
    "SpeakerNotFoundError",
    "SurveyError",
    "SurveyFileError",
    "TrainingError",
    "TranscriptError",
    "UserForgottenError",
    "UserNotFoundError",
    "UsersimError",
    "WeightingError",
    "WorkerLostError",
    "boundary",
]


_SPEAKERS_SHOWN = 20
SHORTEN_PROMPT = (
    "choose a --model with a longer context, or --preset tiny, which shows less of the history"
)
"""What to do at the command line where a prompt does not fit the model."""


class UsersimError(Exception):
    """Root of every error that usersim raises on purpose.

    Attributes:
        retryable: Whether the same call may succeed when it is made again.
        hint: The next step for the reader, also shown below the traceback; empty if none.

    Example:
        >>> UsersimError("whose answer?", hint="give user_id=", cli_hint="give --user").cli_hint
        'give --user'
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", cli_hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self._cli_hint = cli_hint
        if hint:
            self.add_note(hint)

    @property
    def cli_hint(self) -> str:
        """The next step at the command line: `hint`, unless it names other things there."""
        return self._cli_hint or self.hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by state, so that subclasses with extra fields survive a process boundary."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(
    cls: type[UsersimError], args: tuple[object, ...], state: dict[str, object]
) -> UsersimError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(UsersimError, ValueError):
    """A setting is wrong; every problem found is listed at once."""


class ArgumentError(ConfigError, TypeError):
    """A call has an argument that it does not take, lacks one, or has one of a wrong type."""


class MissingDependencyError(UsersimError, ImportError):
    """An optional package is not installed.

    Example:
        >>> str(MissingDependencyError("torch", extra="local"))
        "'torch' is needed for this and is not installed"
    """

    def __init__(self, package: str, *, extra: str, why: str = "") -> None:
        message = f"{package!r} is needed for {why or 'this'} and is not installed"
        super().__init__(message, hint=f'install it with: pip install "usersim-recon[{extra}]"')
        self.package = package
        self.extra = extra


class ActionError(UsersimError, ValueError):
    """A value does not belong to its action space."""


class CorpusError(UsersimError):
    """The corpus or its store."""


class CorpusFormatError(CorpusError):
    """A source cannot be read as any known format."""


class RefusedRowsError(CorpusError):
    """Rows were refused: all of them, or at least one with `strict=True`; nothing was kept."""


class CorpusSchemaError(CorpusError):
    """The database belongs to another schema version."""


class UserNotFoundError(CorpusError, LookupError):
    """No such user in the corpus; close matches are listed."""


class UserForgottenError(UserNotFoundError):
    """Somebody was forgotten while their data was in use; nothing made from it was kept since.

    Args:
        user_ids: Who.
        doing: What was being done with their data; reads on after "while".
        hint: The next step.

    Attributes:
        user_ids: Who, sorted.

    Example:
        >>> str(UserForgottenError(["ada"], "their rows were being loaded"))
        "user 'ada' was forgotten while their rows were being loaded"
    """

    def __init__(self, user_ids: Iterable[str], doing: str, *, hint: str = "") -> None:
        who = tuple(sorted(user_ids))
        names = ", ".join(map(repr, who))
        one = f"user {names} was" if len(who) == 1 else f"users {names} were"
        super().__init__(f"{one} forgotten while {doing}", hint=hint)
        self.user_ids = who


class SpeakerNotFoundError(CorpusError, LookupError):
    """The person to model in a chat is not named, does not speak in it, or is ambiguous.

    Attributes:
        person: The name that was given; None if none was.
        speakers: Who speaks, and how many messages each wrote, most first.
    """

    def __init__(
        self,
        person: str | None,
        speakers: Mapping[str, int],
        *,
        several: bool = False,
        hint: str = "",
        cli_hint: str = "",
    ) -> None:
        shown = [f"{name!r} ({count})" for name, count in list(speakers.items())[:_SPEAKERS_SHOWN]]
        more = len(speakers) - len(shown)
        named = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        if several:
            problem = f"{person!r} matches several speakers of the chat"
        elif hint:
            problem = "the person to model in the chat is not named"
        elif person is None:
            problem = "the chat does not show which speaker is the person to model"
        else:
            problem = f"{person!r} does not speak in the chat"
        super().__init__(
            f"{problem}; its speakers, with their messages, are {named or 'none'}",
            hint=hint or "name one of them: person=NAME",
            cli_hint=cli_hint or "name one of them: --person NAME",
        )
        self.person = person
        self.speakers = dict(speakers)


class NotStoredError(CorpusError, LookupError):
    """The store holds no such interaction, candidate, run or answer."""


class EmptySplitError(CorpusError):
    """A user has too few interactions for what was asked."""


class FleetHeldError(CorpusError):
    """Another process drives the fleet."""


class PromptError(UsersimError):
    """A prompt template is unknown or one of its variables is undefined."""


class TranscriptError(UsersimError):
    """A text is not "reasoning, then action".

    Attributes:
        text: The whole text that could not be read.
        position: Character offset at which reading stopped.
    """

    def __init__(
        self, message: str, *, text: str, position: int = 0, hint: str = "", cli_hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint, cli_hint=cli_hint)
        self.text = text
        self.position = position


class EngineError(UsersimError):
    """Running a model failed."""


class EngineUnavailableError(EngineError):
    """The engine cannot be reached at the moment.

    Attributes:
        wait: How long it asks to be left alone, seconds; 0 if it does not say.
    """

    retryable: ClassVar[bool] = True
    wait: float = 0.0


class EngineAccessError(EngineError):
    """A server does not know the caller, or does not let it do this."""


class EngineNotFoundError(EngineError):
    """A server knows no such model or path; it may have before it was started again."""


class EngineTimeoutError(EngineError):
    """A server did not answer in time."""

    retryable: ClassVar[bool] = True


class EngineResponseError(EngineError):
    """A server's reply was cut short or is not what was asked for."""

    retryable: ClassVar[bool] = True


class CapabilityError(EngineError):
    """The engine cannot do what was asked, and says so instead of doing something else."""


class ModelLoadError(EngineError):
    """The base model cannot be loaded."""


class ContextLengthError(EngineError):
    """A request does not fit the model.

    Attributes:
        n_tokens: Tokens of the request, the tokens to be drawn included.
        max_tokens: Tokens that the model takes.
    """

    def __init__(self, n_tokens: int, max_tokens: int, *, what: str = "the request") -> None:
        super().__init__(
            f"{what} has {n_tokens} tokens and the model takes {max_tokens}",
            hint="shorten the history (HistoryConfig) or choose a model with a longer context",
            cli_hint=SHORTEN_PROMPT,
        )
        self.n_tokens = n_tokens
        self.max_tokens = max_tokens


class AdapterLoadError(EngineError):
    """An adapter is damaged or was made for another base model."""


class AssistantError(UsersimError):
    """An assistant that a simulated person talks with failed, or said something else than text."""


class ScoringError(UsersimError):
    """A fidelity score cannot be computed."""


class TrainingError(UsersimError):
    """Training failed."""


class NoTrainingDataError(TrainingError):
    """There is nothing to train on."""


class DivergedError(TrainingError):
    """The loss became NaN or exploded; the last good checkpoint is kept."""


class ArtifactError(UsersimError):
    """A saved simulator or adapter folder is incomplete or was altered."""


class EvaluationError(UsersimError):
    """An evaluation cannot be run or its numbers cannot be trusted."""


class WeightingError(EvaluationError):
    """Respondents cannot be weighted to the margins asked for."""


class EmptyCellError(WeightingError):
    """A category of a margin has no respondents, or respondents have no category in it."""


class ImpossibleMarginsError(WeightingError):
    """No weights meet all margins at once, or a margin is not a distribution."""


class FleetError(UsersimError):
    """Workers that share a long piece of work cannot be started, or the cluster is gone."""


class WorkerLostError(FleetError):
    """A worker is gone in the middle of its work: killed, or its machine is."""


class SurveyError(UsersimError):
    """A survey instrument is wrong; every problem found is listed, with question and value."""


class ExpressionError(SurveyError):
    """A condition of an instrument cannot be read, or names what cannot be known there."""


class SurveyFileError(SurveyError):
    """A survey's file cannot be read or written."""


class RefusedRequestError(UsersimError):
    """The endpoint does not do what a request asks.

    Attributes:
        status: HTTP status of the reply.
        code: What went wrong, one word for programs.
        param: The part of the request that is meant; None for all of it.
        retry_after: Seconds after which the same request may succeed; None if it never will.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 400,
        param: str | None = None,
        retry_after: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after


@contextmanager
def boundary(
    error: type[UsersimError], what: str, *, hint: str = "", cli_hint: str = ""
) -> Generator[None]:
    """Turn whatever foreign code raises into one typed error.

    The only broad `except` of the library. Errors that are typed already, and
    `MemoryError`, pass unchanged, as does everything outside `Exception` (Ctrl-C).

    Args:
        error: Class to raise.
        what: What was being done, with the values concerned, as in `"loading adapter 'x'"`.
        hint: The next step for the reader.
        cli_hint: The same at the command line, where it names other things.

    Yields:
        Nothing.

    Raises:
        UsersimError: Of class `error`, chained to the original exception.
        MemoryError: As it came.

    Example:
        >>> with boundary(EngineError, "loading 'x'"):
        ...     raise RuntimeError("no such file")
        Traceback (most recent call last):
        ...
        usersim.errors.EngineError: loading 'x' failed: RuntimeError: no such file
    """
    try:
        yield
    except (UsersimError, MemoryError):
        raise
    except Exception as cause:
        message = f"{what} failed: {type(cause).__name__}: {cause}"
        raise error(message, hint=hint, cli_hint=cli_hint) from cause
