"""Forced paths: every token of every continuation is read once, where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.engines.vllm.paths import MOST_TOGETHER, forced_paths

CONTINUATIONS = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=12
)


def read(continuations: dict[int, list[int]]) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """Follow the paths; return per token (continuation, place) after which tokens it was read."""
    found: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for path in forced_paths(continuations):
        for number, places in path.reads.items():
            for place in places:
                step = place - len(path.start)
                token = continuations[number][place]
                assert token in {path.tokens[step], *path.beside}
                before = path.start + path.tokens[:step]
                found.setdefault((number, place), []).append(before)
    return found


@given(CONTINUATIONS)
def test_every_token_is_read_once_after_what_precedes_it(lists: list[list[int]]) -> None:
    """Each token of each continuation is read exactly once, after its own beginning."""
    continuations = dict(enumerate(lists))
    assert read(continuations) == {
        (number, place): [tuple(own[:place])]
        for number, own in continuations.items()
        for place in range(len(own))
    }


@given(CONTINUATIONS)
def test_one_step_for_every_different_beginning(lists: list[list[int]]) -> None:
    """The paths take as many steps as there are beginnings that something follows."""
    beginnings = {tuple(own[:place]) for own in lists for place in range(len(own))}
    steps = sum(len(path.tokens) for path in forced_paths(dict(enumerate(lists))))
    assert steps == len(beginnings)


def test_options_of_one_token_take_one_step() -> None:
    """Options that part at their only token are one request of one step."""
    (path,) = forced_paths({0: [5], 1: [6], 2: [7]})
    assert path.start == ()
    assert len(path.tokens) == 1
    assert {*path.tokens, *path.beside} == {5, 6, 7}


@pytest.mark.parametrize("count", [MOST_TOGETHER, 3 * MOST_TOGETHER + 1])
def test_no_path_asks_for_more_tokens_than_vllm_returns(count: int) -> None:
    """However many options there are, a path names fewer than 128 tokens, and all are read."""
    continuations = {number: [number // 200, 1000 + number] for number in range(count)}
    assert all(len(path.beside) < MOST_TOGETHER for path in forced_paths(continuations))
    assert len(read(continuations)) == 2 * count
