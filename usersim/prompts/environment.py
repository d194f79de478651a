"""Prompt templates: found, named by their content, rendered to chat messages.

Knows jinja2 and nothing of persons, histories or models. Text of a corpus enters as a variable
and is never rendered a second time, so `{{ 7*7 }}` in it stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import jinja2
import jinja2.meta
import jinja2.nodes
import jinja2.runtime
from jinja2.sandbox import ImmutableSandboxedEnvironment

from usersim.errors import PromptError

__all__ = ["PromptTemplate", "load_template", "template_names", "templates_key"]

_SUFFIX = ".jinja"
_ROLES = ("system", "user", "assistant")
_ID_CHARS = 12


_Blocks = Mapping[str, Callable[[jinja2.runtime.Context], Iterator[str]]]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """One template; each of its blocks is a message, in their order.

    A block's name is its role, followed by `_` and a word of your choice where a role speaks
    more than once: `system`, `user_1`, `assistant_1`, `user`. The last one is the user's.

    Attributes:
        name: Its name.
        id: `name@` and the first 12 characters of the SHA-256 over its text and the text of all
            that it includes: equal ids mean equal wording.
    """

    name: str
    id: str
    _template: jinja2.Template = field(repr=False, compare=False)
    _blocks: _Blocks = field(repr=False, compare=False)
    _variables: frozenset[str] = field(repr=False, compare=False)

    def render(self, **variables: object) -> tuple[tuple[str, str], ...]:
        """Return the messages as (role, content) pairs; an empty one is left out.

        Raises:
            PromptError: If a variable is undefined; close matches among those given are named.
        """
        missing = sorted(self._variables - set(variables))
        if missing:
            raise self._undefined(missing[0], variables)
        messages: list[tuple[str, str]] = []
        for name, block in self._blocks.items():
            context = self._template.new_context(dict(variables))
            try:
                text = "".join(block(context)).strip()
            except jinja2.TemplateError as error:
                raise PromptError(f"template {self.id!r}, block {name!r}: {error}") from None
            if text:
                messages.append((_role(name), text))
        return tuple(messages)

    def _undefined(self, name: str, variables: Mapping[str, object]) -> PromptError:
        near = get_close_matches(name, variables, n=3)
        meant = f"did you mean {', '.join(map(repr, near))}? " if near else ""
        return PromptError(
            f"template {self.id!r} needs the variable {name!r}",
            hint=f"{meant}given: {sorted(variables)}",
        )


@lru_cache(maxsize=64)
def load_template(name: str | Path) -> PromptTemplate:
    """Return a template of the library by its name, or one of your own by its path.

    Args:
        name: `respond`, `forward` or `backward`; or a path that ends in `.jinja`. A template
            runs in a sandbox, and may include and extend those of the library.

    Raises:
        PromptError: If there is none, it cannot be read, or its blocks are no chat.

    Example:
        >>> load_template("respond").id.split("@")[0]
        'respond'
    """
    path = Path(name)
    own = path.suffix == _SUFFIX
    environment = _environment(path.parent if own else None)
    file = path.name if own else f"{name}{_SUFFIX}"
    sources = _sources(environment, file, shown=str(name))
    try:
        blocks = _blocks(environment, file, sources)
    except jinja2.TemplateSyntaxError as error:
        raise PromptError(f"template {str(name)!r}, line {error.lineno}: {error}") from None
    roles = [_role(block) for block in blocks]
    if not set(roles) <= set(_ROLES) or roles[-1:] != ["user"]:
        raise PromptError(
            f"template {str(name)!r} has the blocks {list(blocks)!r}",
            hint="every block is named after its role (system, user_1, assistant_1, ...),"
            " and the last one must be a user's",
        )
    stem = path.name.removesuffix(_SUFFIX)
    return PromptTemplate(
        name=stem,
        id=f"{stem}@{_digest(sources)[:_ID_CHARS]}",
        _template=environment.get_template(file),
        _blocks=blocks,
        _variables=_variables(environment, sources),
    )


def _role(block: str) -> str:
    return block.split("_", maxsplit=1)[0]


def template_names() -> list[str]:
    """Return the names of the library's templates."""
    return sorted(
        file.removesuffix(_SUFFIX)
        for file in _environment(None).list_templates(extensions=[_SUFFIX[1:]])
        if not file.startswith("_")
    )


def templates_key() -> str:
    """Return the SHA-256 over all templates of the library: equal keys mean equal wording."""
    return sha256("".join(load_template(name).id for name in template_names()).encode()).hexdigest()


@lru_cache(maxsize=8)
def _environment(folder: Path | None) -> jinja2.Environment:
    """Return the sandbox; prompts are plain text, so nothing is escaped for HTML."""
    loaders: list[jinja2.BaseLoader] = [jinja2.PackageLoader("usersim.prompts")]
    if folder is not None:
        loaders.insert(0, jinja2.FileSystemLoader(folder))
    return ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        # A template's id is that of the text that was loaded, so a file that changes later must
        # not change the prompts. Nor is each file looked at again for every prompt.
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _sources(environment: jinja2.Environment, file: str, *, shown: str) -> dict[str, str]:
    """Return the text of a template and of all that it includes, by file name.

    Raises:
        PromptError: If one is not found or cannot be parsed.
    """
    loader = environment.loader or jinja2.DictLoader({})
    sources: dict[str, str] = {}
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current in sources:
            continue
        try:
            sources[current] = loader.get_source(environment, current)[0]
            referenced = jinja2.meta.find_referenced_templates(environment.parse(sources[current]))
        except jinja2.TemplateSyntaxError as error:
            raise PromptError(f"template {shown!r}, line {error.lineno}: {error}") from None
        except jinja2.TemplateNotFound:
            _refuse_unknown(current, shown)
        waiting += [name for name in referenced if name is not None]
    return sources


def _blocks(environment: jinja2.Environment, file: str, sources: Mapping[str, str]) -> _Blocks:
    """Return a template's blocks: those of the one it extends, with its own in their places."""
    own = environment.get_template(file).blocks
    extended = environment.parse(sources[file]).find(jinja2.nodes.Extends)
    if extended is None or not isinstance(extended.template, jinja2.nodes.Const):
        return own
    return {**_blocks(environment, str(extended.template.value), sources), **own}


def _refuse_unknown(file: str, shown: str) -> NoReturn:
    """Raise.

    Raises:
        PromptError: Naming the templates that there are, close ones first.
    """
    names = template_names()
    near = get_close_matches(shown, names, n=3)
    meant = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    raise PromptError(
        f"no prompt template {shown!r} (file {file!r} not found)",
        hint=f"{meant}the library has {', '.join(map(repr, names))}; pass your own by its path",
    )


def _digest(sources: Mapping[str, str]) -> str:
    text = "\0".join(f"{name}\0{sources[name]}" for name in sorted(sources))
    return sha256(text.encode()).hexdigest()


def _variables(environment: jinja2.Environment, sources: Mapping[str, str]) -> frozenset[str]:
    trees = (environment.parse(text) for text in sources.values())
    return frozenset(name for tree in trees for name in jinja2.meta.find_undeclared_variables(tree))
