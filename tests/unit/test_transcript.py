"""The transcript codec: what it refuses, and with which words."""

from __future__ import annotations

import pytest

from usersim import transcript
from usersim.errors import TranscriptError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("No.", "does not begin with"),
        ("<think>\nStill thinking", "not closed"),
        ("<think>\na\n</think>\n\nNo. <think>", "unexpected <think> at character 24"),
        ("<think>\na <think> b\n</think>\n\nNo.", "unexpected <think> at character 10"),
    ],
)
def test_a_malformed_text_is_refused_and_kept(text: str, words: str) -> None:
    """A text that is not reasoning, then action, is an error that says where and keeps it."""
    with pytest.raises(TranscriptError, match=words) as caught:
        transcript.parse(text, complete=True)
    assert caught.value.text == text


def test_a_cut_action_is_refused() -> None:
    """The beginning of an action is not taken for the action."""
    with pytest.raises(TranscriptError, match="cut at the token limit"):
        transcript.parse("<think>\na\n</think>\n\nNo, but", complete=False)


def test_the_marker_is_the_empty_reasoning() -> None:
    """The no-reasoning marker reads as empty reasoning."""
    read = transcript.parse(transcript.NO_REASONING + "No.", complete=True)
    assert read == transcript.Transcript("", "No.")


def test_reasoning_and_action_follow_different_endings() -> None:
    """A model can tell from the last characters whether it is to reason or to act."""
    assert transcript.OPEN[-2:] != transcript.CLOSE[-2:]
    assert transcript.NO_REASONING.endswith(transcript.CLOSE)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I am tired. I wou", "I am tired."),
        ('She said "no." And', 'She said "no."'),
        ("我累了。我想", "我累了。"),
        ("It costs 3.5 euros, I th", None),
    ],
)
def test_cut_reasoning_keeps_its_full_sentences(text: str, kept: str | None) -> None:
    """Closing keeps what was finished; without a full sentence there is nothing to keep."""
    if kept is None:
        with pytest.raises(TranscriptError, match="first sentence"):
            transcript.close_reasoning(text)
    else:
        assert transcript.close_reasoning(text) == kept


def test_empty_reasoning_is_refused() -> None:
    """Drawn reasoning without a word is malformed."""
    with pytest.raises(TranscriptError, match="empty"):
        transcript.parse_reasoning(" \n ", stopped=True)
