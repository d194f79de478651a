"""Micro-batches: which examples make one optimizer step, packed into one token tree.

Knows tokens, nodes and weights; knows nothing of text or models. In a tree one node can have
several next tokens (two traces part after the same prompt), so the loss is a sum over
(node, target, weight) triples and not over positions with one label each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from usersim.engines.packing import PackedRow, common_length, pack
from usersim.training.dataset import EncodedExample, Term, TermKind

__all__ = ["KINDS", "MicroBatch", "Step", "make_batch", "own_tokens", "plan_steps"]

KINDS: tuple[TermKind, ...] = ("action", "reasoning", "option")

Step = tuple[int, ...]
"""Indices of the examples of one optimizer step."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One token tree and what is predicted in it.

    Attributes:
        row: The tree, `t` nodes.
        nodes: Nodes whose logits are needed. Shape `(m,)`.
        source: Which of `nodes` predicts each target. Shape `(p,)`.
        target: Token to be predicted. Shape `(p,)`.
        term: Term that each target belongs to. Shape `(p,)`.
        sizes: Targets of each term. Shape `(n_terms,)`.
        kind: Index into `KINDS` of each term. Shape `(n_terms,)`.
        options: Terms of each decision, -1 where it has fewer than others: the action alone, or
            every option. Shape `(n_decisions, k)`.
        truth: Which of them was chosen. Shape `(n_decisions,)`.
        reasoned: Whether the decision stands after a trace. Shape `(n_decisions,)`.
        n_examples: Examples in the tree.
    """

    row: PackedRow
    nodes: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    term: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    options: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    reasoned: npt.NDArray[np.bool_]
    n_examples: int

    def term_weights(self, reasoning_weight: float) -> npt.NDArray[np.float32]:
        """Return the weight of each term's mean log-probability. Shape `(n_terms,)`.

        The loss of an example is `reasoning_weight * mean over reasoning tokens + mean over
        action tokens`, so that a long trace does not drown a short action; options count in
        their decision alone. The loss of the batch is the mean over its examples.
        """
        of_kind = np.asarray([1.0, reasoning_weight, 0.0], dtype=np.float32)
        return of_kind[self.kind] / np.float32(self.n_examples)


def make_batch(examples: Sequence[EncodedExample]) -> MicroBatch:
    """Pack all terms of `examples` into one tree.

    The last token of a term is predicted and predicts nothing, so it is not a node.

    Args:
        examples: At least one.

    Returns:
        The micro-batch.
    """
    terms: list[Term] = [term for example in examples for term in example.terms]
    sequences = [term.tokens[:-1] for term in terms]
    (row,) = pack(sequences, row_tokens=sum(len(sequence) for sequence in sequences))
    paths = {member: path for path, member in zip(row.paths, row.members, strict=True)}
    sizes = np.array([len(term.targets) for term in terms], dtype=np.int64)
    # Each token is predicted by the node before it.
    before = [paths[i][term.start - 1 :] for i, term in enumerate(terms)]
    nodes, source = np.unique(np.concatenate(before), return_inverse=True)
    options, truth, reasoned = _decisions(examples)
    return MicroBatch(
        row=row,
        nodes=nodes,
        source=source.astype(np.int64),
        target=np.array([token for term in terms for token in term.targets], dtype=np.int64),
        term=np.repeat(np.arange(len(terms)), sizes),
        sizes=sizes,
        kind=np.array([KINDS.index(term.kind) for term in terms], dtype=np.int64),
        options=options,
        truth=truth,
        reasoned=reasoned,
        n_examples=len(examples),
    )


def _decisions(
    examples: Sequence[EncodedExample],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the terms, the truths and the reasoned flags of all decisions; see `MicroBatch`."""
    rows: list[tuple[int, ...]] = []
    truth: list[int] = []
    reasoned: list[bool] = []
    first = 0
    for example in examples:
        for decision in example.decisions:
            rows.append(tuple(first + place for place in decision.terms))
            truth.append(decision.truth)
            reasoned.append(decision.reasoned)
        first += len(example.terms)
    options = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for place, row in enumerate(rows):
        options[place, : len(row)] = row
    return options, np.array(truth, dtype=np.int64), np.array(reasoned, dtype=np.bool_)


def own_tokens(example: EncodedExample) -> int:
    """Return how many nodes the example takes by itself."""
    first, *others = (term.tokens for term in example.terms)
    return len(first) + sum(len(tokens) - common_length(first, tokens) for tokens in others)


def _epoch_order(examples: Sequence[EncodedExample], random: np.random.Generator) -> list[int]:
    """Order examples so that neighbors share beginnings, differently in each epoch.

    Users come in random order. Within a user the examples stand in the order of their tokens,
    which brings equal beginnings together, and the list is turned by a random amount, so that
    rows are cut at other places each time.
    """
    of_user: dict[str, list[int]] = {}
    for index in sorted(range(len(examples)), key=lambda i: examples[i].terms[0].tokens):
        of_user.setdefault(examples[index].user_id, []).append(index)
    users = sorted(of_user)
    order: list[int] = []
    for which in random.permutation(len(users)):
        members = of_user[users[int(which)]]
        turn = int(random.integers(len(members)))
        order += members[turn:] + members[:turn]
    return order


def _cut(examples: Sequence[EncodedExample], order: Sequence[int], batch_tokens: int) -> list[Step]:
    """Cut an order into rows of at most about `batch_tokens` nodes.

    As in `usersim.engines.packing.pack`, a row may hold up to twice its longest sequence where
    that is more, if its members share most of their tokens: a long shared beginning is worth
    sharing. Members that share little are cut apart, because a step more is worth more.
    """
    steps: list[Step] = []
    row: list[int] = []
    used = longest = 0
    for index in order:
        example = examples[index]
        own = own_tokens(example)
        tokens = example.terms[0].tokens
        new = own - (common_length(examples[row[-1]].terms[0].tokens, tokens) if row else 0)
        roomy = 2 * max(longest, own) if new <= own / 2 else 0
        if row and used + new > max(batch_tokens, roomy):
            steps.append(tuple(row))
            row, used, longest, new = [], 0, 0, own
        row.append(index)
        used += new
        longest = max(longest, own)
    return [*steps, tuple(row)] if row else steps


def plan_steps(
    examples: Sequence[EncodedExample], *, batch_tokens: int, epochs: float, seed: int
) -> list[Step]:
    """Return the examples of every optimizer step of a run.

    The whole run is laid out beforehand, so that a resumed run goes on with exactly the step
    at which the first one ended.

    Args:
        examples: What is trained on; at least one.
        batch_tokens: Nodes of one step's tree.
        epochs: Passes over the examples; of the last one a part if it is not whole.
        seed: Decides the order.

    Returns:
        Steps in order.
    """
    steps: list[Step] = []
    for epoch in range(ceil(epochs)):
        random = np.random.default_rng([seed, epoch])
        rows = _cut(examples, _epoch_order(examples, random), batch_tokens)
        part = min(1.0, epochs - epoch)
        shuffled = [rows[int(which)] for which in random.permutation(len(rows))]
        steps += shuffled[: max(1, round(part * len(shuffled)))]
    return steps
