"""From a chat to token ids, with the guarantee that text stays text.

Knows a tokenizer and its chat template; knows no model and no tensors. The template is rendered
once per sequence of roles with placeholders in place of the contents and cut at them. The pieces
between are the only text in which control tokens are recognized; a content that spells
`<|im_end|>` or `</s>` is tokenized as the characters that it consists of.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Protocol

from jinja2 import TemplateError

from usersim.engines.base import ChatPrompt
from usersim.errors import EngineError, ModelLoadError, boundary

__all__ = [
    "ChatTokenizer",
    "encode_continuation",
    "encode_prompt",
    "end_of_turn_id",
    "uses_plain_format",
]

logger = logging.getLogger(__name__)

_ROLES = ("system", "user", "assistant")
_MERGED = "\n\n"
"""Stands between contents that a template forces into one message."""
_TEMPLATE_DATE = "01 Jan 2025"
"""Some templates write the date; a fixed one keeps prompts the same tomorrow."""

_SAMPLES = (("user",), ("system", "user"), ("user", "assistant", "user"))
"""Chats in which every control token of a template is expected to occur."""

Frame = tuple[tuple[int, ...], ...]
"""Token ids before, between and after the contents: one entry more than contents."""


class _Encoding(Protocol):
    @property
    def ids(self) -> list[int]: ...


class _AddedToken(Protocol):
    content: str
    special: bool


class _Backend(Protocol):
    encode_special_tokens: bool

    def encode(self, sequence: str, *, add_special_tokens: bool) -> _Encoding: ...
    def get_added_tokens_decoder(self) -> dict[int, _AddedToken]: ...
    def no_truncation(self) -> None: ...
    def no_padding(self) -> None: ...


class ChatTokenizer(Protocol):
    """What is needed of a fast Hugging Face tokenizer."""

    chat_template: str | dict[str, str] | None

    @property
    def backend_tokenizer(self) -> _Backend:
        """The tokenizer of the `tokenizers` library behind it."""
        ...

    @property
    def eos_token_id(self) -> int | None:
        """The token that ends a text."""
        ...

    @property
    def bos_token_id(self) -> int | None:
        """The token that begins a text."""
        ...

    def apply_chat_template(
        self,
        conversation: list[dict[str, str]],
        *,
        tokenize: bool,
        add_generation_prompt: bool,
        date_string: str,
    ) -> str:
        """Render a conversation."""
        ...


def encode_prompt(tokenizer: ChatTokenizer, prompt: ChatPrompt, prefix: str) -> list[int]:
    """Return the token ids of a chat, up to where the model goes on.

    - Contents and `prefix` are text: no control token comes from them. They are tokenized by
      themselves, so that equal beginnings have equal tokens.
    - A template's default system prompt is not used: prompts are ours alone. Where a template
      would add one, an empty system message takes its place.
    - A template that refuses the system role, or two messages of one role in a row, gets them
      merged, two line breaks between.
    - A tokenizer without a chat template gets a plain format: `User:`, a line break, the
      content, a blank line, and so on, with `Assistant:` and a line break at the end.

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        prompt: (role, content) pairs, oldest first.
        prefix: Beginning of the model's turn.

    Returns:
        Token ids.

    Raises:
        EngineError: If the prompt is empty or has an unknown role, or if the template refuses
            its roles.
        ModelLoadError: If the tokenizer is not a fast one.
    """
    if not prompt:
        raise EngineError("the prompt is empty", hint="pass at least one (role, content) message")
    unknown = [role for role, _ in prompt if role not in _ROLES]
    if unknown:
        raise EngineError(
            f"unknown role {unknown[0]!r} in a prompt; choose one of {list(_ROLES)!r}"
        )
    return _codec(tokenizer).prompt(prompt, prefix)


def encode_continuation(tokenizer: ChatTokenizer, text: str, *, end: bool) -> list[int]:
    """Return the token ids of `text` by itself, and of the end of the turn.

    Args:
        tokenizer: A fast Hugging Face tokenizer.
        text: Text, never control tokens.
        end: Whether to append `end_of_turn_id`.

    Returns:
        Token ids; empty for an empty text without the end.

    Raises:
        ModelLoadError: If the tokenizer is not a fast one, or has no end token to append.
    """
    codec = _codec(tokenizer)
    ids = list(codec.text(text))
    if end:
        ids.append(codec.end_of_turn)
    return ids


def end_of_turn_id(tokenizer: ChatTokenizer) -> int:
    """Return the token that closes an assistant's turn in the chat template, else `eos`.

    Raises:
        ModelLoadError: If there is neither.
    """
    return _codec(tokenizer).end_of_turn


def uses_plain_format(tokenizer: ChatTokenizer) -> bool:
    """Return whether the tokenizer has no chat template, so that the plain format is used."""
    return not tokenizer.chat_template


@lru_cache(maxsize=8)
def _codec(tokenizer: ChatTokenizer) -> _Codec:
    return _Codec(tokenizer)


def _placeholder(index: int) -> str:
    """Return letters and digits that no template contains, trims or escapes."""
    return f"usersim7Content{index}x7End"


class _Codec:
    """One tokenizer with its caches."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise ModelLoadError(
                f"{type(tokenizer).__name__!r} is not a fast tokenizer",
                hint="choose a model that ships a tokenizer.json",
            )
        self._tokenizer = tokenizer
        # Copies of our own: the library switches this flag, and truncation, on the shared one.
        self._controls = _private_copy(tokenizer, text_only=False)
        self._texts = _private_copy(tokenizer, text_only=True)
        self.text = lru_cache(maxsize=1024)(self._text)
        self.frame = lru_cache(maxsize=256)(self._frame)
        self._pieces = lru_cache(maxsize=256)(self._template_pieces)
        if uses_plain_format(tokenizer):
            logger.warning("the tokenizer has no chat template; a plain format is used instead")

    # ------------------------------------------------------------------ prompts

    def prompt(self, prompt: ChatPrompt, prefix: str) -> list[int]:
        messages = self._arranged(prompt)
        frame = self.frame(tuple(role for role, _ in messages))
        ids = list(frame[0])
        for (_, content), piece in zip(messages, frame[1:], strict=True):
            ids += self.text(content)
            ids += piece
        ids += self.text(prefix)
        return ids

    def _arranged(self, prompt: ChatPrompt) -> ChatPrompt:
        """Return the messages in the form that the template takes.

        Raises:
            EngineError: If it takes none.
        """
        if self._accepted(tuple(role for role, _ in prompt)):
            return self._without_default_system(prompt)
        merged: list[tuple[str, str]] = []
        for role, content in prompt:
            plain = "user" if role == "system" else role
            if merged and merged[-1][0] == plain:
                merged[-1] = (plain, merged[-1][1] + _MERGED + content)
            else:
                merged.append((plain, content))
        roles = tuple(role for role, _ in merged)
        if not self._accepted(roles):
            raise EngineError(
                f"the model's chat template rejects the roles {list(roles)!r}",
                hint="begin and end with a user message",
            )
        return tuple(merged)

    def _without_default_system(self, prompt: ChatPrompt) -> ChatPrompt:
        """Put an empty system message where the template would add a text of its own.

        Told from what stands before the first content: with a system message the template
        writes `head, content, middle`; if it writes `head, something, middle` without one, the
        something is its own.
        """
        roles = tuple(role for role, _ in prompt)
        if roles[0] == "system" or not self._accepted(("system", *roles)):
            return prompt
        opening = self._pieces(roles)[0]
        head, middle = self._pieces(("system", *roles))[:2]
        injected = (
            opening.startswith(head)
            and opening.endswith(middle)
            and len(opening) > len(head) + len(middle)
        )
        return (("system", ""), *prompt) if injected else prompt

    def _frame(self, roles: tuple[str, ...]) -> Frame:
        pieces = [
            tuple(self._controls.encode(piece, add_special_tokens=False).ids)
            for piece in self._pieces(roles)
        ]
        if uses_plain_format(self._tokenizer):
            # A template writes the token that begins a text; here the tokenizer has to.
            opening = self._controls.encode("", add_special_tokens=True).ids
            pieces[0] = (*opening[: opening == [self._tokenizer.bos_token_id]], *pieces[0])
        return tuple(pieces)

    def _accepted(self, roles: tuple[str, ...]) -> bool:
        return bool(self._pieces(roles))

    def _template_pieces(self, roles: tuple[str, ...], *, generate: bool = True) -> tuple[str, ...]:
        """Return the template's text around the contents.

        Empty if the template refuses the roles, or drops, repeats or reorders a content.
        """
        places = [_placeholder(index) for index in range(len(roles))]
        rendered = self._render(roles, places, generate=generate)
        pieces: list[str] = []
        for place in places:
            before, found, rendered = rendered.partition(place)
            if not found or place in rendered:
                return ()
            pieces.append(before)
        return (*pieces, rendered)

    def _render(self, roles: Sequence[str], contents: Sequence[str], *, generate: bool) -> str:
        if uses_plain_format(self._tokenizer):
            turns = [f"{r.title()}:\n{c}\n\n" for r, c in zip(roles, contents, strict=True)]
            return "".join(turns) + ("Assistant:\n" if generate else "")
        messages = [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]
        with boundary(EngineError, f"rendering the chat template for roles {list(roles)!r}"):
            try:
                return self._tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=generate,
                    date_string=_TEMPLATE_DATE,
                )
            except TemplateError as error:
                logger.debug("the chat template rejects the roles %r: %s", roles, error)
                return ""

    # ------------------------------------------------------------------ text

    def _text(self, text: str) -> tuple[int, ...]:
        """Return the token ids of text; unpaired surrogates become replacement characters."""
        clean = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        cuts = [match.start() + 1 for match in self._unsplit.finditer(clean)]
        parts = [clean[a:b] for a, b in pairwise([0, *cuts, len(clean)])]
        return tuple(
            number
            for part in parts
            for number in self._texts.encode(part, add_special_tokens=False).ids
        )

    @cached_property
    def _unsplit(self) -> re.Pattern[str]:
        """What the template uses for control and the tokenizer does not mark as special.

        `encode_special_tokens` leaves such tokens whole; cutting the text within one keeps it
        from being recognized.
        """
        used = {
            number
            for roles in _SAMPLES
            if self._accepted(roles)
            for piece in self.frame(roles)
            for number in piece
        }
        added = self._controls.get_added_tokens_decoder()
        names = [
            token.content
            for number, token in added.items()
            if number in used and not token.special and len(token.content) > 1
        ]
        names.sort(key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)) or r"(?!)")

    @cached_property
    def end_of_turn(self) -> int:
        """The first token after an assistant's content if it is an added one, else `eos`.

        Raises:
            ModelLoadError: If there is neither.
        """
        pieces = self._pieces(("user", "assistant"), generate=False)
        after = self._controls.encode(pieces[-1], add_special_tokens=False).ids if pieces else []
        if after and after[0] in self._controls.get_added_tokens_decoder():
            return after[0]
        if self._tokenizer.eos_token_id is None:
            raise ModelLoadError(
                "the tokenizer has neither a chat template that closes a turn nor an end token",
                hint="choose an instruction-tuned model",
            )
        return self._tokenizer.eos_token_id


def _private_copy(tokenizer: ChatTokenizer, *, text_only: bool) -> _Backend:
    """Return a tokenizer of our own; one for text recognizes no special token."""
    copy = deepcopy(tokenizer.backend_tokenizer)
    copy.encode_special_tokens = text_only
    copy.no_truncation()
    copy.no_padding()
    return copy
