"""Laws of the transcript codec."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim import transcript
from usersim.errors import TranscriptError
from usersim.transcript import Transcript

PIECES = st.sampled_from(
    ["I like it.", " ", "\n", "<think>", "</think>", "\\", "\\</think>", "No", "é🙂", "{{ 7*7 }}"]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS, TEXTS)
def test_what_was_rendered_is_read_back(reasoning: str, action: str) -> None:
    """Reading a rendered transcript gives the transcript, whatever tags its texts hold."""
    whole = Transcript(reasoning, action)
    assert transcript.parse(transcript.render(whole), complete=True) == whole


@given(TEXTS, TEXTS, st.integers(min_value=0, max_value=200))
def test_a_truncated_transcript_is_never_an_action(reasoning: str, action: str, cut: int) -> None:
    """Any text that was cut is an error that keeps the text."""
    text = transcript.render(Transcript(reasoning, action))[:cut]
    with pytest.raises(TranscriptError) as caught:
        transcript.parse(text, complete=False)
    assert caught.value.text == text


@given(TEXTS, TEXTS)
def test_reasoning_never_reaches_the_action(reasoning: str, action: str) -> None:
    """The rendered action holds no tag that could be taken for one of the codec's own."""
    rendered = transcript.render(Transcript(reasoning, action))
    body = rendered.removeprefix(transcript.prefix(reasoning))
    assert body == transcript.action_text(action)
    assert transcript.parse_action(body, complete=True) == action


@given(TEXTS)
def test_an_action_is_written_alike_with_and_without_reasoning(action: str) -> None:
    """What a model writes after a trace is what stands in a past turn, to the character."""
    with_reasoning = transcript.render(Transcript("It is late.", action))
    assert with_reasoning.endswith(transcript.render(Transcript("", action)))
