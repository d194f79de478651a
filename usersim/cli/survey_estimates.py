"""The command for what a simulated population answers: survey estimate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.table import Table
from rich.text import Text

from usersim.cli.console import console, notes, open_corpus
from usersim.cli.survey_files import InstrumentOption, human_rows
from usersim.errors import ConfigError, SurveyFileError
from usersim.evaluation.surveys import CountBy, Covers, Margins
from usersim.files import write_rows
from usersim.simulation.survey import Survey
from usersim.simulation.survey_files import check_ending, read_answers
from usersim.simulator.people import attributes_of
from usersim.simulator.survey_estimates import SurveyEstimates, estimate_survey

__all__ = ["register"]


def register(group: typer.Typer) -> None:
    """Add the command to `group`."""
    group.command()(estimate)


def estimate(  # noqa: PLR0913, PLR0917 - options of a command
    answers: Annotated[
        list[Path], typer.Argument(help="What `survey run --out` wrote; several are draws.")
    ],
    instrument: InstrumentOption,
    human: Annotated[
        Path | None,
        typer.Option(
            help="What some of the same people really said: .csv or .jsonl, one row each."
        ),
    ] = None,
    margins: Annotated[
        Path | None,
        typer.Option(help='JSON of known shares: {"sex": {"f": 0.51, "m": 0.49}}.'),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option("--corpus", "-c", help="The store whose metadata tell the margins' groups."),
    ] = None,
    most: Annotated[
        float | None, typer.Option(help="Largest weight, in mean weights.", min=1)
    ] = None,
    covers: Annotated[
        Covers,
        typer.Option(
            help="What intervals allow for: other draws, other people, or a model as wrong as it "
            "was on other items."
        ),
    ] = "people",
    by: Annotated[
        CountBy, typer.Option(help="Count the answers, or add up the probabilities.")
    ] = "answers",
    out: Annotated[Path | None, typer.Option(help="Also write the figures here: .csv.")] = None,
) -> None:
    """Print what the simulated population answers, with intervals; with --human also rectified."""
    _check(margins, corpus, most, out)
    survey = Survey.load(instrument)
    results = [read_answers(path, survey) for path in answers]
    attributes = None
    if corpus is not None:
        asked = {person for one in results for person in one.people}
        with open_corpus(corpus) as store:
            held = [one.user_id for one in store.users() if one.user_id in asked]
            attributes = attributes_of(store, held)
    found = estimate_survey(
        results,
        attributes=attributes,
        margins=None if margins is None else _margins(margins),
        most=most,
        human_sample=None if human is None else human_rows(human),
        covers=covers,
        by=by,
    )
    _print(found)
    if out is not None:
        _write(found, out)
        console.print(Text(f"written to {out}"))


def _check(margins: Path | None, corpus: str | None, most: float | None, out: Path | None) -> None:
    """Check that options go together, before anything is read.

    Raises:
        ConfigError: If one is given without the other.
        SurveyFileError: If the table's ending is unknown.
    """
    if (margins is None) != (corpus is None):
        raise ConfigError("--margins and --corpus belong together: the shares, and who is in them")
    if most is not None and margins is None:
        raise ConfigError(f"--most {most:g} cuts the weights that --margins makes: give both")
    if out is not None:
        check_ending(out, (".csv",))


def _print(found: SurveyEstimates) -> None:
    """Print a row per figure, and what has none."""
    rows = found.to_records()
    table = Table("item", "answer", f"simulated (95 %, {found.items[0].covers})", "n")
    if found.rectified:
        table.add_column("rectified (95 %)")
        table.add_column("humans alone (95 %)")
    for row in rows:
        cells = [row["item"], row["figure"], _figure(row, "simulated"), row["n"]]
        if found.rectified:
            cells += [_figure(row, "rectified"), _figure(row, "humans")]
        table.add_row(*(Text(str(cell)) for cell in cells))
    console.print(table)
    console.print(Text("simulated answers: a model's, not people's"))
    if found.weighting is not None:
        console.print(Text(str(found.weighting)))
    for item, reason in found.left_out.items():
        notes.print(Text(f"{item}: {reason}", style="yellow"))


def _figure(row: Mapping[str, object], name: str) -> str:
    value, low, high = (cast("float | None", row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return "–" if value is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _margins(path: Path) -> Margins:
    """Return the margins of a file.

    Raises:
        ConfigError: If they are none.
    """
    try:
        told: object = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): {str(category): float(share) for category, share in shares.items()}
            for name, shares in cast("dict[str, dict[str, float]]", told).items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"--margins {str(path)!r} cannot be read: {error}",
            hint='write it as {"sex": {"f": 0.51, "m": 0.49}}',
        ) from error


def _write(found: SurveyEstimates, out: Path) -> None:
    """Write a row per figure; the file appears when it is whole."""
    write_rows(out, found.to_records(), what="the figures", error=SurveyFileError)
