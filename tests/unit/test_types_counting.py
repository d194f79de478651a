"""One thing is in the singular, wherever a text counts things."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import usersim
from usersim.corpus import RefusedRows
from usersim.evaluation import evaluate, uniform_arm
from usersim.simulator.run import RunCost
from usersim.types import Choice, Interaction, Message

PACKAGE = Path(usersim.__file__).parent
PLURAL = re.compile(
    r"^ (?:(?:held-out|simulated|synthetic|drawn|prompt|human) ){0,2}([a-z]+s|people)\b"
)
NOT_PLURAL = {"is", "has", "was", "gives", "names", "tells", "needs", "less", "this", "predicts"}
GROUP = re.compile(r"\bof (the )?$|more than $")
"""What stands before the size of a group: `none of 3 traces`, `1 of 1 answers`."""


def test_no_text_counts_by_hand() -> None:
    """A length or a size is never followed by a plural that was written out."""
    found: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                found += [f"{place}: {one}" for one in _by_hand(node)]
    assert found == []


def _by_hand(node: ast.JoinedStr) -> list[str]:
    found: list[str] = []
    parts = [ast.Constant(""), *node.values]
    for before, value, after in zip(parts, parts[1:], parts[2:], strict=False):
        if not isinstance(value, ast.FormattedValue) or not isinstance(after, ast.Constant):
            continue
        call = value.value
        length = isinstance(call, ast.Call) and ast.unparse(call.func) == "len"
        plural = PLURAL.match(str(after.value))
        group = isinstance(before, ast.Constant) and GROUP.search(str(before.value))
        if length and plural and plural[1] not in NOT_PLURAL and not group:
            found.append(f"{{{ast.unparse(call)}}}{after.value!r}")
    return found


def test_one_of_each() -> None:
    """Costs and tables of a single thing read as one."""
    cost = RunCost(requests=1, prompt_tokens=1, drawn_tokens=1, refused=RefusedRows())
    assert str(cost) == "1 request, 1 prompt token, at most 1 drawn token, 0 rows refused"
    space = Choice(("a", "b"))
    item = Interaction(
        key="k", user_id="u", position=0, context=(Message("Q?"),), action="a", space=space,
        conversation="c", split="held_out",
    )  # fmt: skip
    table = evaluate([uniform_arm()], [item], bootstrap=10).__rich__()
    assert table.title == "1 held-out item of 1 person"
