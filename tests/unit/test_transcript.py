"""The transcript codec: what it writes, what it rejects, and with which words."""

from __future__ import annotations

import pytest

from usersim import transcript
from usersim.errors import TranscriptError
from usersim.transcript import Transcript


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<think>\nStill thinking", "not closed"),
        ("<think>\n\n</think>\n\nNo.", "empty"),
        ("<think>No.", "unexpected <think> at character 0"),
        ("No. </think>", "unexpected </think> at character 4"),
        ("<think>\na\n</think>\n\nNo. <think>", "unexpected <think> at character 24"),
        ("<think>\na <think> b\n</think>\n\nNo.", "unexpected <think> at character 10"),
    ],
)
def test_a_malformed_text_is_refused_and_kept(text: str, words: str) -> None:
    """A text that is not reasoning, then action, is an error that says where and keeps it."""
    with pytest.raises(TranscriptError, match=words) as caught:
        transcript.parse(text, complete=True)
    assert caught.value.text == text


@pytest.mark.parametrize("text", ["<think>\na\n</think>\n\nNo, but", "No, but", ""])
def test_a_cut_action_is_refused(text: str) -> None:
    """The beginning of an action is not taken for the action, with reasoning or without."""
    with pytest.raises(TranscriptError, match="cut at the token limit"):
        transcript.parse(text, complete=False)


def test_an_action_without_reasoning_stands_alone() -> None:
    """Nothing marks that there was none: the text is that of a past turn in a prompt."""
    assert transcript.render(Transcript("", "No.")) == transcript.action_text("No.") == "No."
    assert transcript.prefix("") == transcript.NO_REASONING == ""
    assert transcript.parse("No.", complete=True) == Transcript("", "No.")


def test_an_action_that_spells_the_tag_is_no_reasoning() -> None:
    """The escape keeps an action that begins like reasoning from being read as it."""
    said = Transcript("", f"{transcript.OPEN}I said so.{transcript.CLOSE}No.")
    assert not transcript.render(said).startswith(transcript.OPEN)
    assert transcript.parse(transcript.render(said), complete=True) == said


def test_reasoning_and_action_follow_different_endings() -> None:
    """A model can tell from the last characters whether it is to reason or to act."""
    assert transcript.OPEN[-2:] != transcript.CLOSE[-2:]


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
