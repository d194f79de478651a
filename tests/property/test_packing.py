"""Laws of packing: a row of token trees holds every sequence once and keeps them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.engines.packing import LONG, by_beginning, pack

# Few tokens and common beginnings, so that sequences really share.
TOKENS = st.integers(0, 3)
BEGINNINGS = st.sampled_from([(), (1,), (1, 2, 3) * 5, (1, 2, 0) * 8, (2,) * 30])
SEQUENCE = st.builds(
    lambda start, rest: [*start, *rest], BEGINNINGS, st.lists(TOKENS, min_size=1, max_size=12)
)
SEQUENCES = st.lists(SEQUENCE, max_size=24)
ROW_TOKENS = st.sampled_from([1, 8, 40, 1000])


def prefixes(sequences: Sequence[Sequence[int]]) -> set[tuple[int, ...]]:
    """Every distinct beginning: the nodes of the tree."""
    return {tuple(s[: n + 1]) for s in sequences for n in range(len(s))}


@given(SEQUENCES, ROW_TOKENS)
def test_every_sequence_is_packed_once_and_spelled_by_its_path(sequences, row_tokens) -> None:
    """Over all rows each input has one path, whose tokens and depths are the sequence's."""
    rows = pack(sequences, row_tokens=row_tokens)
    members = [member for row in rows for member in row.members]
    assert sorted(members) == list(range(len(sequences)))
    for row in rows:
        for member, path in zip(row.members, row.paths, strict=True):
            assert row.tokens[path].tolist() == list(sequences[member])
            assert row.positions[path].tolist() == list(range(len(path)))


@given(SEQUENCES, ROW_TOKENS)
def test_a_shared_beginning_is_held_once_in_a_row(sequences, row_tokens) -> None:
    """A row has exactly one node for each distinct beginning of its sequences."""
    for row in pack(sequences, row_tokens=row_tokens):
        own = [sequences[member] for member in row.members]
        assert len(row.tokens) == len(row.positions) == len(prefixes(own))


@given(SEQUENCES, ROW_TOKENS)
def test_a_node_sees_itself_and_its_ancestors_alone(sequences, row_tokens) -> None:
    """Seen from any node, the visible nodes in order of depth spell its own beginning."""
    for row in pack(sequences, row_tokens=row_tokens):
        mask = row.mask()
        expected = np.zeros_like(mask)
        for path in row.paths:
            for depth, node in enumerate(path):
                expected[node, path[: depth + 1]] = True
        assert (mask == expected).all()
        assert (mask.sum(axis=1) == row.positions + 1).all()


@given(SEQUENCES, ROW_TOKENS)
def test_rows_stay_within_their_limit(sequences, row_tokens) -> None:
    """A row is larger than asked only where its longest sequence needs it, twice at the most."""
    for row in pack(sequences, row_tokens=row_tokens):
        longest = max(len(path) for path in row.paths)
        assert len(row.tokens) <= max(row_tokens, 2 * longest)


@given(SEQUENCES, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(sequences, random) -> None:
    """Rows hold the same sequences however they were given."""
    shuffled = random.sample(sequences, len(sequences))

    def packed(given_sequences):
        return [
            [given_sequences[member] for member in row.members]
            for row in pack(given_sequences, row_tokens=40)
        ]

    assert packed(sequences) == packed(shuffled)


def test_nothing_to_pack_makes_no_row() -> None:
    """No sequences, no rows; an empty sequence is a mistake of the caller's."""
    assert pack([], row_tokens=64) == []
    with pytest.raises(AssertionError, match="an empty sequence has no node"):
        pack([[]], row_tokens=64)


def test_a_long_shared_beginning_is_computed_once() -> None:
    """Eight options after 600 tokens cost 600 tokens and their own, not eight times as many."""
    shared = list(range(600))
    rows = pack([[*shared, 1000 + i, 2000 + i] for i in range(8)], row_tokens=256)
    assert sum(len(row.tokens) for row in rows) == 600 + 16


@given(SEQUENCES, ROW_TOKENS, st.sampled_from([1, 4, 100]))
def test_parts_are_the_row_and_see_its_first_nodes_only(sequences, row_tokens, least) -> None:
    """The parts are the whole row, and see of each other its first, shared nodes only."""
    for row in pack(sequences, row_tokens=row_tokens):
        trunk, parts = row.branches(least)
        assert [0, *(end for _, end in parts)] == [*(first for first, _ in parts), len(row.tokens)]
        mask = row.mask()
        for first, end in parts:
            outside = np.ones(len(row.tokens), dtype=bool)
            outside[:trunk] = outside[first:end] = False
            assert not mask[first:end, outside].any()
        assert all(end - first >= least for first, end in parts[:-1])


@given(SEQUENCES, st.booleans())
def test_groups_by_beginning_hold_every_sequence_once_and_share_long_ones(sequences, alone) -> None:
    """Sequences with a long beginning in common are one group; the short ones are the last."""
    stretched = [[token for token in sequence for _ in range(LONG // 2)] for sequence in sequences]
    groups = by_beginning(stretched, alone=lambda _: alone)
    assert sorted(place for group in groups for place in group) == list(range(len(stretched)))
    for group in groups[:-1]:
        shortest = min(len(stretched[place]) for place in group)
        assert shortest > LONG or (shortest == LONG and len(group) > 1)
        assert len({tuple(stretched[place][:LONG]) for place in group}) == 1
