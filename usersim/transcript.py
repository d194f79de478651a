"""The one text format of "reasoning, then action": render it, read it back.

    <think>
    the reasoning
    </think>

    the action

Without reasoning the action stands alone: it is then written exactly as in the past turns of a
prompt, so that every past answer is also an example of the next one. Whoever asks says which of
the two is wanted, by beginning the model's turn with the tag or not. Synthesis, training targets
and runtime parsing all use this codec, and nothing else in the library knows the format. Tags
inside a text are escaped by a backslash, so `parse(render(t)) == t` for every transcript, and
reasoning can never reach the action. Tags and line breaks are those of the field's reasoning
models, which serving tools know how to split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from usersim.errors import TranscriptError

__all__ = [
    "CLOSE",
    "NO_REASONING",
    "OPEN",
    "REASONING_STOP",
    "Transcript",
    "action_text",
    "close_reasoning",
    "parse",
    "parse_action",
    "parse_reasoning",
    "prefix",
    "render",
    "sentences",
]

OPEN = "<think>\n"
CLOSE = "\n</think>\n\n"
NO_REASONING = ""
"""What stands before an action without reasoning."""
REASONING_STOP = "</think>"
"""Stop string of a draw that ends with the reasoning."""

_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s|$)|[。！？]")
_TAG = re.compile(r"(\\*)(</?think>)")


@dataclass(frozen=True, slots=True)
class Transcript:
    """Reasoning and the action that followed it; `reasoning` is empty where there was none."""

    reasoning: str
    action: str


def _escape(text: str) -> str:
    return _TAG.sub(r"\\\1\2", text)


def _unescape(text: str, *, whole: str, offset: int) -> str:
    for match in _TAG.finditer(text):
        if not match[1]:
            raise TranscriptError(
                f"unexpected {match[2]} at character {offset + match.start()}",
                text=whole,
                position=offset + match.start(),
            )
    return re.sub(r"\\(\\*)(</?think>)", r"\1\2", text)


def prefix(reasoning: str) -> str:
    r"""Return the text up to the action: what the model has written before it acts.

    Example:
        >>> prefix("She likes Fridays.")
        '<think>\nShe likes Fridays.\n</think>\n\n'
    """
    return OPEN + _escape(reasoning) + CLOSE if reasoning else NO_REASONING


def action_text(action: str) -> str:
    """Return `action` as it stands in a transcript."""
    return _escape(action)


def render(transcript: Transcript) -> str:
    """Return the transcript as text."""
    return prefix(transcript.reasoning) + action_text(transcript.action)


def parse(text: str, *, complete: bool) -> Transcript:
    r"""Read a whole transcript.

    Args:
        text: What a model wrote in its turn.
        complete: False if the text was cut at a token limit. A cut text is refused: what
            looks like an action may be the beginning of another one.

    Returns:
        The transcript.

    Raises:
        TranscriptError: If the text is cut, its reasoning is not closed or empty, or it holds a
            stray tag.

    Example:
        >>> parse("<think>\nIt is late.\n</think>\n\nNo.", complete=True)
        Transcript(reasoning='It is late.', action='No.')
    """
    if not text.startswith(OPEN):
        return Transcript("", parse_action(text, complete=complete))
    end = text.find(CLOSE, len(OPEN) - 1)
    if end < 0:
        raise TranscriptError("the reasoning is not closed", text=text, position=len(text))
    start = end + len(CLOSE)
    reasoning = _unescape(text[len(OPEN) : end], whole=text, offset=len(OPEN))
    if not reasoning:
        raise TranscriptError("the reasoning is empty", text=text, position=len(OPEN))
    return Transcript(reasoning, parse_action(text[start:], complete=complete, whole=text))


def parse_reasoning(text: str, *, stopped: bool) -> str:
    """Read reasoning drawn after `OPEN` and stopped at `REASONING_STOP`.

    Args:
        text: What was drawn, without the stop string.
        stopped: True if the draw ended at the stop string.

    Returns:
        The reasoning, stripped; never empty.

    Raises:
        TranscriptError: If it was not closed, is empty, or holds a stray tag.
    """
    if not stopped:
        raise TranscriptError("the reasoning is not closed", text=text, position=len(text))
    reasoning = _unescape(text, whole=text, offset=0).strip()
    if not reasoning:
        raise TranscriptError("the reasoning is empty", text=text)
    return reasoning


def close_reasoning(text: str) -> str:
    """Close reasoning that was cut at a token limit after its last full sentence.

    Args:
        text: What was drawn, without a closing tag.

    Returns:
        The full sentences.

    Raises:
        TranscriptError: If it holds no full sentence, or a stray tag.

    Example:
        >>> close_reasoning("He is tired. He would rath")
        'He is tired.'
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if not ends:
        raise TranscriptError("the reasoning was cut in its first sentence", text=text)
    return parse_reasoning(text[: ends[-1]], stopped=True)


def sentences(text: str) -> list[str]:
    """Return the sentences of reasoning, in order; they join to the text.

    White space stands with the sentence before it. What is left after the last full stop is a
    sentence too.

    Example:
        >>> sentences("It is late. Is he tired? Per")
        ['It is late. ', 'Is he tired? ', 'Per']
    """
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
        found.append(text[start:end])
        start = end
    return [*found, text[start:]] if start < len(text) else found


def parse_action(text: str, *, complete: bool, whole: str | None = None) -> str:
    """Read an action drawn after a prefix.

    Args:
        text: What was drawn.
        complete: False if it was cut at a token limit.
        whole: The text that an error keeps, where `text` is only a part of it.

    Returns:
        The action.

    Raises:
        TranscriptError: If it is cut, or holds a stray tag.
    """
    kept = text if whole is None else whole
    if not complete:
        raise TranscriptError(
            "the action was cut at the token limit", text=kept, position=len(kept)
        )
    return _unescape(text, whole=kept, offset=len(kept) - len(text))
