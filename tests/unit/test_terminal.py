"""Foreign text commands no terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.terminal import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]52;c;ZXZpbA==\x07", "␛]52;c;ZXZpbA==␇"),
        ("a\rb\bc\x7f", "a␍b␈c␡"),
        ("\x9b31m", "�31m"),
        ("abc\u202edef\u2066", "abc�def�"),
        ("one\ntwo\u2028three\t", "one␊two␤three␉"),
        ("\ud800", "�"),
        ("日本 שלום\u200f é 👩‍💻", "日本 שלום\u200f é 👩‍💻"),
    ],
)
def test_a_line_shows_what_would_command_the_terminal(text: str, shown: str) -> None:
    """Escapes, line ends and overrides become signs; languages and emoji stay."""
    assert visible(text) == shown


def test_a_block_keeps_its_lines_and_indents_them() -> None:
    """So that no line of a person's text can pass for a line of ours."""
    assert visible("a\nb\r\nc\rd\te", indent="  ") == "a\n  b\n  c␍d\te"


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    """Whatever the text, apart from line ends and tabs of a block."""
    assert not [c for c in visible(text) if unicodedata.category(c) in {"Cc", "Cs"}]
    block = visible(text, indent="")
    assert {c for c in block if unicodedata.category(c) == "Cc"} <= {"\n", "\t"}
