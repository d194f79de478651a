"""The error tree: notes, pickling, the boundary."""

from __future__ import annotations

import pickle

import pytest

from usersim import errors
from usersim.errors import (
    ContextLengthError,
    EngineError,
    EngineResponseError,
    EngineTimeoutError,
    EngineUnavailableError,
    MissingDependencyError,
    TranscriptError,
    UsersimError,
    boundary,
)


def test_the_boundary_gives_foreign_errors_a_type() -> None:
    """Whatever foreign code raises becomes one typed error that names the work and the cause."""
    with (
        pytest.raises(EngineError, match=r"loading 'x' failed: ZeroDivisionError: no") as caught,
        boundary(EngineError, "loading 'x'", hint="try another"),
    ):
        raise ZeroDivisionError("no")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.hint == "try another"


@pytest.mark.parametrize(
    "error", [TranscriptError("bad", text="t"), MemoryError(), KeyboardInterrupt()]
)
def test_the_boundary_lets_typed_errors_pass(error: BaseException) -> None:
    """Typed errors, lack of memory and Ctrl-C pass the boundary unchanged."""
    with pytest.raises(type(error)) as caught, boundary(EngineError, "working"):
        raise error
    assert caught.value is error


def test_errors_survive_a_process_boundary() -> None:
    """Errors with fields of their own are pickled whole."""
    for error in (
        ContextLengthError(9, 8),
        MissingDependencyError("torch", extra="local"),
        TranscriptError("bad", text="whole", position=3, hint="look"),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert copy.__dict__ == error.__dict__


def test_a_missing_package_names_the_install_command() -> None:
    """The next step stands in the error's notes."""
    error = MissingDependencyError("torch", extra="local", why="running a model")
    assert error.__notes__ == ['install it with: pip install "usersim-recon[local]"']
    assert "'torch' is needed for running a model" in str(error)


def test_the_command_line_has_its_own_next_step_where_it_differs() -> None:
    """It is the hint as long as no other is given, also when the hint is set later."""
    plain = UsersimError("no", hint="check the path")
    assert plain.cli_hint == "check the path"
    plain.hint = "check the folder"
    assert plain.cli_hint == "check the folder"
    both = pickle.loads(pickle.dumps(UsersimError("no", hint="give x=", cli_hint="give --x")))
    assert (both.hint, both.cli_hint, both.__notes__) == ("give x=", "give --x", ["give x="])
    with (
        pytest.raises(EngineError) as caught,
        boundary(EngineError, "a", hint="x=", cli_hint="--x"),
    ):
        raise ZeroDivisionError
    assert (caught.value.hint, caught.value.cli_hint) == ("x=", "--x")


def test_being_retryable_is_a_property_of_the_error() -> None:
    """Only an engine that cannot be reached at the moment is worth another try."""
    retryable = {
        name for name in errors.__all__ if name != "boundary" and getattr(errors, name).retryable
    }
    assert retryable == {
        EngineUnavailableError.__name__,
        EngineTimeoutError.__name__,
        EngineResponseError.__name__,
    }
    assert issubclass(EngineUnavailableError, UsersimError)
