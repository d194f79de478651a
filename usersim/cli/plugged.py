"""What chooses evidence on the command line: names of functions, imported when they are needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, NamedTuple, cast

import typer

from usersim.corpus import Corpus
from usersim.errors import ConfigError
from usersim.prediction import Embed
from usersim.types import Retriever

__all__ = ["embed_given", "plugged", "retriever_given"]

EmbedOption = Annotated[
    str | None,
    typer.Option(
        help="Function that turns texts into vectors, as MODULE:NAME: finds the past answers that "
        "bear on a question. Give the same to train and to answer.",
    ),
]
RetrieverOption = Annotated[
    str | None,
    typer.Option(
        help="Function that makes a retriever of a corpus, as MODULE:NAME: chooses what of the "
        "past is shown. Give the same to train and to answer.",
    ),
]


class _Given(NamedTuple):
    embed: str | None
    retriever: str | None


_given: ContextVar[_Given | None] = ContextVar("given", default=None)


def plugged(command: Callable[..., object]) -> Callable[..., object]:
    """Return a command that also takes `--embed` and `--retriever`."""

    @wraps(command)
    def run(*args: object, embed: str | None, retriever: str | None, **values: object) -> object:
        _given.set(_Given(embed, retriever))
        return command(*args, **values)

    added = {"embed": EmbedOption, "retriever": RetrieverOption}
    plain = signature(command, eval_str=True)
    own = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in added.items()
    ]
    run.__signature__ = plain.replace(parameters=[*plain.parameters.values(), *own])  # type: ignore[attr-defined]
    run.__annotations__ = command.__annotations__ | added
    return run


def embed_given() -> Embed | None:
    """Return the function that turns texts into vectors; None if none was named.

    Raises:
        ConfigError: If it cannot be imported.
    """
    given = _given.get()
    name = given.embed if given else None
    return None if name is None else cast("Embed", _imported("--embed", name))


def retriever_given() -> Callable[[Corpus], Retriever] | None:
    """Return what makes a retriever of a corpus; None if none was named.

    Raises:
        ConfigError: If what makes it cannot be imported.
    """
    given = _given.get()
    name = given.retriever if given else None
    if name is None:
        return None
    return cast("Callable[[Corpus], Retriever]", _imported("--retriever", name))


def _imported(option: str, name: str) -> Callable[..., object]:
    """Import what `MODULE:NAME` says; modules of the current folder are found.

    Raises:
        ConfigError: If there is no such module or name, or it cannot be called.
    """
    module, _, attribute = name.partition(":")
    hint = f"for instance {option} my_module:my_function"
    if not module or not attribute:
        raise ConfigError(f"{option} is {name!r}, which is not MODULE:NAME", hint=hint)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: object = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{option} {name!r} cannot be imported: {error}", hint=hint) from error
    if not callable(found):
        raise ConfigError(f"{option} {name!r} is {found!r}, which is not a function", hint=hint)
    return found
