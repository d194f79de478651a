"""Conditions over earlier answers: a small language that is read, checked and computed here.

    expression := expression and expression | expression or expression | not expression
                | value comparison value [comparison value ...]
                | answered(question) | refused(question) | selected(question, "option")
    value      := question | item(question, "option or row") | 12.5 | "text" | ["a", "b"]
    comparison := == | != | < | <= | > | >= | in | not in

Python's own parser reads the text, and every kind of node that is not listed above is refused:
no attribute, index, arithmetic or other call can be written, and nothing is ever evaluated by
Python. Knows answers as `GivenAnswer`; knows nothing of models.

What was not answered (skipped, failed, refused) makes every comparison false, `!=` included;
only equality with the refusal's own label can be true of a refusal. `answered` and `refused`
ask for that itself. A label of a scale stands for its number beside a number, and in `<` and `>`.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from usersim.errors import ExpressionError
from usersim.survey.base import unfit
from usersim.survey.given import GivenAnswer

__all__ = [
    "MOST_CHARS",
    "MOST_DEEP",
    "Comparison",
    "Constant",
    "Expression",
    "Joined",
    "Negation",
    "Node",
    "Reference",
    "State",
    "Value",
    "parse",
]

MOST_CHARS = 4_000
"""Longest expression."""
MOST_DEEP = 12
"""Deepest nesting."""

Value = str | float | tuple[str | float, ...]
_FUNCTIONS = {"answered": 1, "refused": 1, "selected": 2, "item": 2}
_GRAMMAR = (
    'write comparisons of question ids, numbers, "texts" and lists with and, or, not, in, '
    'answered(q), refused(q), selected(q, "option"), item(q, "option")'
)
_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_ORDERINGS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text or a list of them."""

    value: Value


@dataclass(frozen=True, slots=True)
class Reference:
    """The answer to a question, or to one of its items."""

    question: str
    item: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison."""

    left: Constant | Reference
    sign: str
    right: Constant | Reference


@dataclass(frozen=True, slots=True)
class State:
    """`answered`, `refused` or `selected`."""

    function: str
    question: str
    option: str


@dataclass(frozen=True, slots=True)
class Negation:
    """Negation."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Joined:
    """`and` (all) or `or` (any) of several."""

    every: bool
    parts: tuple[Node, ...]


Node = Comparison | State | Negation | Joined


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that was read.

    Attributes:
        text: As it was written.
        node: What it says, as a tree; exports write it in other languages.

    Example:
        >>> told = {"tea": GivenAnswer(state="answered", items={"": "yes"})}
        >>> parse('tea == "yes" and not refused(tea)').holds(told)
        True
    """

    text: str
    node: Node

    @property
    def questions(self) -> frozenset[str]:
        """Ids of the questions that it looks at."""
        return frozenset(name for name, _ in self.mentions)

    @property
    def mentions(self) -> tuple[tuple[str, str | None], ...]:
        """Questions with the item or option that is named beside them; None where none is."""
        return tuple(_mentions(self.node))

    def compared(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each question that is compared with a text, the text, and how.

        Yields:
            Id, text (of a list each of its texts), and whether it is `"text" in question`.
        """
        yield from _compared(self.node)

    def holds(self, given: Mapping[str, GivenAnswer]) -> bool:
        """Return whether it is true of a respondent's earlier answers; unknown ones count as none.

        Args:
            given: What came of each earlier question, by id.
        """
        return _holds(self.node, given)


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Read a condition.

    Args:
        text: At most `MOST_CHARS` characters, nested at most `MOST_DEEP` deep.

    Returns:
        The condition.

    Raises:
        ExpressionError: If it is not of the grammar above.
    """
    tree = _tree(text)
    return Expression(text, _Reader(text).condition(tree.body, 0))


def _tree(text: str) -> ast.Expression:
    if len(text) > MOST_CHARS:
        raise _error(f"{text[:40]}...", f"its length, {len(text)}, exceeds {MOST_CHARS} characters")
    # Escapes and line breaks are never needed, and Python's parser warns of wrong ones.
    if odd := "\\" if "\\" in text else unfit(text):
        raise _error(text, f"{odd!r} is not allowed")
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _error(text, f"it cannot be read: {error}") from None


def _error(text: str, why: str) -> ExpressionError:
    return ExpressionError(f"expression {text!r}: {why}", hint=_GRAMMAR)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns Python's syntax tree into our nodes; whatever it does not know is refused."""

    text: str

    def condition(self, node: ast.expr, depth: int) -> Node:
        if depth > MOST_DEEP:
            raise _error(self.text, f"it is nested deeper than {MOST_DEEP}")
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(one, depth + 1) for one in node.values)
            return Joined(isinstance(node.op, ast.And), parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Negation(self.condition(node.operand, depth + 1))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Call):
            name, question, option = self._call(node)
            if name != "item":
                return State(name, question, option)
        raise self._refused(node, "is not a condition")

    def _comparison(self, node: ast.Compare) -> Node:
        terms = [self._term(one) for one in (node.left, *node.comparators)]
        parts: list[Node] = []
        for left, sign, right in zip(terms, node.ops, terms[1:], strict=False):
            if type(sign) not in _COMPARISONS:
                raise self._refused(node, "uses `is` to compare")
            parts.append(Comparison(left, _COMPARISONS[type(sign)], right))
        return parts[0] if len(parts) == 1 else Joined(every=True, parts=tuple(parts))

    def _term(self, node: ast.expr) -> Constant | Reference:
        if isinstance(node, ast.Name):
            return Reference(node.id, None)
        if isinstance(node, ast.Call):
            name, question, option = self._call(node)
            if name == "item":
                return Reference(question, option)
            raise self._refused(node, "cannot be compared")
        if isinstance(node, ast.List | ast.Tuple):
            return Constant(tuple(self._constant(one) for one in node.elts))
        return Constant(self._constant(node))

    def _constant(self, node: ast.expr) -> str | float:
        # One sign at the most: Python's grammar allows any number of them, each a level deeper.
        negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        inner = node.operand if isinstance(node, ast.UnaryOp) and negative else node
        value = inner.value if isinstance(inner, ast.Constant) else None
        if isinstance(value, str) and not negative:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = self._number(value, node)
            return -number if negative else number
        raise self._refused(node, "is not a number, text or question")

    def _number(self, value: float, node: ast.expr) -> float:
        try:
            return float(value)
        except OverflowError:
            raise self._refused(node, "is too large") from None

    def _call(self, node: ast.Call) -> tuple[str, str, str]:
        """Return function, question and option."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        wanted = _FUNCTIONS.get(name)
        if wanted is None or node.keywords or len(node.args) != wanted:
            raise self._refused(node, "is not a known function")
        first = node.args[0]
        if not isinstance(first, ast.Name):
            raise self._refused(first, "is not a question")
        option = self._constant(node.args[1]) if wanted > 1 else ""
        if not isinstance(option, str):
            raise self._refused(node, "needs a quoted option")
        return name, first.id, option

    def _refused(self, node: ast.expr, why: str) -> ExpressionError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return _error(self.text, f"{part!r} {why}")


def _leaves(node: Node) -> Iterator[Comparison | State]:
    """Yield the comparisons and calls of a condition, from left to right."""
    if isinstance(node, Negation):
        yield from _leaves(node.inner)
    elif isinstance(node, Joined):
        for part in node.parts:
            yield from _leaves(part)
    else:
        yield node


def _mentions(node: Node) -> Iterator[tuple[str, str | None]]:
    for leaf in _leaves(node):
        if isinstance(leaf, State):
            yield leaf.question, leaf.option or None
        else:
            for term in (leaf.left, leaf.right):
                if isinstance(term, Reference):
                    yield term.question, term.item


def _compared(node: Node) -> Iterator[tuple[str, str, bool]]:
    for leaf in _leaves(node):
        if isinstance(leaf, Comparison):
            within = "in" in leaf.sign
            yield from _beside(leaf.left, leaf.right, within=False)
            yield from _beside(leaf.right, leaf.left, within=within)


def _beside(
    one: Constant | Reference, other: Constant | Reference, *, within: bool
) -> Iterator[tuple[str, str, bool]]:
    if isinstance(one, Reference) and one.item is None and isinstance(other, Constant):
        values = other.value if isinstance(other.value, tuple) else (other.value,)
        yield from ((one.question, value, within) for value in values if isinstance(value, str))


def _holds(node: Node, given: Mapping[str, GivenAnswer]) -> bool:
    if isinstance(node, Joined):
        return (all if node.every else any)(_holds(part, given) for part in node.parts)
    if isinstance(node, Negation):
        return not _holds(node.inner, given)
    if isinstance(node, Comparison):
        return _compares(node, given)
    own = given.get(node.question, _NOTHING)
    if node.function == "selected":
        return own.state == "answered" and node.option in own.chosen
    return own.state == node.function


_NOTHING = GivenAnswer(state="skipped")


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison as it is for a respondent."""

    value: Value | None
    codes: Mapping[str, float]


def _compares(node: Comparison, given: Mapping[str, GivenAnswer]) -> bool:
    left, right = _side(node.left, given), _side(node.right, given)
    if left.value is None or right.value is None:
        return False
    if node.sign in {"in", "not in"}:
        many = right.value if isinstance(right.value, tuple) else (right.value,)
        found = any(_equal(left, _Side(one, right.codes)) for one in many)
        return found is (node.sign == "in")
    if node.sign in {"==", "!="}:
        return _equal(left, right) is (node.sign == "==")
    a, b = _number(left, right.codes), _number(right, left.codes)
    return a is not None and b is not None and _ORDERINGS[node.sign](a, b)


def _side(term: Constant | Reference, given: Mapping[str, GivenAnswer]) -> _Side:
    if isinstance(term, Constant):
        return _Side(term.value, {})
    own = given.get(term.question, _NOTHING)
    if own.state == "refused":
        return _Side(own.label, {})
    if own.state != "answered":
        return _Side(None, {})
    if term.item is None and own.kind == "multiple_choice":
        return _Side(own.chosen, {})
    return _Side(own.items.get(term.item or ""), own.codes)


def _equal(left: _Side, right: _Side) -> bool:
    if isinstance(left.value, str) == isinstance(right.value, str):
        return left.value == right.value
    a, b = _number(left, right.codes), _number(right, left.codes)
    return a is not None and a == b


def _number(side: _Side, other: Mapping[str, float]) -> float | None:
    """Return a side as a number; a label by its own question's codes, or by the other side's."""
    if isinstance(side.value, str):
        return side.codes.get(side.value, other.get(side.value))
    return side.value if isinstance(side.value, float | int) else None
