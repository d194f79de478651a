"""The calls that people make: what is wrong with one is said in terms of the function they called.

Knows signatures and values; knows nothing of what the functions do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from usersim.config import PipelineConfig, Preset
from usersim.config.base import Config
from usersim.errors import ActionError, ArgumentError, ConfigError

__all__ = ["as_pipeline", "check_config", "in_call", "public"]

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Config)


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Have wrong argument names of `function` raise an `ArgumentError` that lists the right ones.

    The error is also a `TypeError`, as Python's own would be. Signature and docstring stay as
    they are, for `help()` and for completion.

    Example:
        >>> @public
        ... def ask(context, *, options=None):
        ...     return context
        >>> ask("Tea?", option=["yes"])
        Traceback (most recent call last):
        ...
        usersim.errors.ArgumentError: ask() has no argument 'option'
        did you mean 'options'? It takes: context, options
    """
    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, R]", _awaited(function))

    @wraps(function)
    def called(*args: P.args, **named: P.kwargs) -> R:
        try:
            return function(*args, **named)
        except TypeError as error:
            raise _explained(error, function, args, named) from error.__cause__

    return called


def _awaited(
    function: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(function)
    async def called(*args: P.args, **named: P.kwargs) -> R:
        try:
            return await function(*args, **named)
        except TypeError as error:
            raise _explained(error, function, args, named) from error.__cause__

    return called


def _explained(
    error: TypeError,
    function: Callable[..., object],
    args: tuple[object, ...],
    named: dict[str, object],
) -> TypeError:
    """Return what is wrong with the arguments; `error` itself if they fit."""
    try:
        inspect.signature(function).bind(*args, **named)
    except TypeError as wrong:
        return _misfit(function, args, named, str(wrong))
    return error


def _misfit(
    function: Callable[..., object], args: tuple[object, ...], named: dict[str, object], said: str
) -> ArgumentError:
    call = f"{function.__qualname__.removesuffix('.__init__')}()"
    parameters = inspect.signature(function).parameters
    names = [name for name in parameters if name not in {"self", "cls"}]
    takes = f"It takes: {', '.join(names)}"
    unknown = [name for name in named if name not in parameters]
    if unknown:
        close = get_close_matches(unknown[0], names, n=1)
        hint = f"did you mean {close[0]!r}? {takes}" if close else takes
        return ArgumentError(f"{call} has no argument {unknown[0]!r}", hint=hint)
    if said.startswith("too many"):
        first = [
            name for name in names if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY
        ]
        given = len(args) - (len(parameters) - len(names))
        many = "argument" if len(first) == 1 else "arguments"
        return ArgumentError(
            f"{call} takes {len(first)} {many} without a name, got {given}",
            hint=f"name the others: {', '.join(f'{name}=' for name in names[len(first) :])}",
        )
    return ArgumentError(f"{call}: {said}", hint=takes)


@contextmanager
def in_call(call: str) -> Generator[None]:
    """Name the public function in errors about what it was given.

    Args:
        call: As in `"respond()"`.

    Yields:
        Nothing.
    """
    try:
        yield
    except (ConfigError, ActionError) as error:
        raise type(error)(f"{call}: {error}", hint=error.hint) from error


def as_pipeline(config: object, call: str) -> PipelineConfig:
    """Return the settings of every stage that a caller gave, or those of the preset they named.

    Args:
        config: A `PipelineConfig`, or a preset's name.
        call: The public function, for the error.

    Raises:
        ArgumentError: If it is neither.
        ConfigError: If there is no such preset.

    Example:
        >>> as_pipeline("tiny", "from_corpus()") == PipelineConfig.preset("tiny")
        True
    """
    if isinstance(config, PipelineConfig):
        return config
    if isinstance(config, str):
        return PipelineConfig.preset(cast("Preset", config))
    hint = 'give PipelineConfig(…), or the name of a preset, as "small"'
    stage = next(
        (
            name
            for name, part in PipelineConfig.model_fields.items()
            if cast("object", part.annotation) is type(config)
        ),
        None,
    )
    if stage is not None:
        hint = f"give it to its stage: config=PipelineConfig({stage}={type(config).__name__}(…))"
    raise ArgumentError(
        f"{call}: config is {_short(config)}, which is not a PipelineConfig", hint=hint
    )


def check_config(config: object, wanted: type[C], call: str) -> C:
    """Return `config` if it is of the wanted type.

    Raises:
        ArgumentError: If it is not.
    """
    if isinstance(config, wanted):
        return config
    raise ArgumentError(
        f"{call}: config is {_short(config)}, which is not a {wanted.__name__}",
        hint=f"give config={wanted.__name__}(…), or leave it out",
    )


def _short(config: object) -> str:
    """Return a value; of settings the type alone."""
    return f"a {type(config).__name__}" if isinstance(config, Config) else repr(config)
