"""HTML in one pass: what a reader sees, whatever the markup is like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.markup import pieces


def text(html: str) -> str:
    """The words of a page."""
    return "".join(value for kind, value in pieces(html) if kind == "text")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("a <b class='x>y'>c</b>", "a c"),
        ("<p class=don't>x</p>", "x"),
        ('<a href = "it\'s">x</a >y', "xy"),
        ("1 < 2 & 3 > 2 <3", "1 < 2 & 3 > 2 <3"),
        ("&lt;b&gt;&nbsp;&#8364;&copy", "<b>\xa0€©"),
        ("<!-- <b> -->a<!DOCTYPE x>b<?php c ?>d", "abd"),
        ("<script>if (a<b) {'</p>'}</script>a<STYLE>b</style >c", "ac"),
        ("<br/>a<img src='x' alt=\"b\"/>", "a"),
        ("a<b", "a"),
        ("a<!-- b", "a"),
        ("a<script>b", "a"),
        ('a<b title="c>d', "a"),
        ("", ""),
    ],
)
def test_what_a_reader_of_the_page_sees(html: str, words: str) -> None:
    """Tags, comments and scripts are none of it; what does not end goes on to the end."""
    assert text(html) == words


@pytest.mark.parametrize(
    "piece", ["<", "<a", "<a ", "<!--", "<!", "<?", "</", "</a", "&", "&#", "<a b='", "<script>",
              "<![CDATA[", '<a "', "<!--><a '<script>"]
)  # fmt: skip
def test_markup_that_never_ends_is_looked_at_once(piece: str) -> None:
    """Half a megabyte of it; a parser that begins anew at each tag would take hours."""
    assert len(text(piece * (500_000 // len(piece)))) <= 500_000


@given(st.text(alphabet="<>/!-ab='\" &;scriptyle", max_size=60))
def test_every_text_is_read(html: str) -> None:
    """Nothing raises, and no tag is left in what is shown."""
    assert "<b>" not in text(html.replace("&", ""))
