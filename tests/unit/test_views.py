"""Progress and tables: what a person sees, and where nothing is shown."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import pytest
from rich.console import Console

from usersim.errors import ArgumentError
from usersim.views import Sheet, printed, progress, show_progress, staged

EVIL = "\x1b]52;c;cGFzdGU=\x07<b>[red]ada[/red]"


@printed(lambda one: Sheet(title="Cups", columns=("who", "n"), rows=((one.who, one.n),)))
@dataclass(frozen=True, slots=True)
class Cups:
    """Something that is printed."""

    who: str
    n: float | None


def test_a_value_is_printed_as_text_in_a_terminal_and_in_a_notebook() -> None:
    """All three forms tell the same cells, numbers with three decimals, gaps as a dash."""
    out = io.StringIO()
    Console(file=out, width=60).print(Cups("ada", 0.5))
    html = Cups("ada", None)._repr_html_()
    assert str(Cups("ada", 0.5)).split() == ["Cups", "who", "n", "ada", "0.500"]
    assert out.getvalue().split()[-2:] == ["ada", "0.500"]
    assert "<td style='text-align:left'>ada</td>" in html
    assert "–" in html


def test_text_of_a_corpus_steers_neither_terminal_nor_page() -> None:
    """Escape sequences are replaced, markup and tags stay text."""
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=True).print(Cups(EVIL, 1))
    html = Cups(EVIL, 1)._repr_html_()
    assert "\x1b]52" not in out.getvalue()
    assert "[red]ada[/red]" in out.getvalue()
    assert "\x1b" not in str(Cups(EVIL, 1))
    assert "<b>" not in html.replace("<p><b>Cups", "")


def test_progress_goes_to_a_function_and_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The caller's function gets every report; the log says when a stage begins and ends."""
    found: list[tuple[object, ...]] = []
    with (
        caplog.at_level(logging.INFO, "usersim"),
        show_progress(lambda *at: found.append(at), "train()") as report,
    ):
        score = staged("score", report)
        assert score is not None
        for done in range(4):
            score("measure", done, 3)
        report("read rows", 5, None)
    assert found == [("score", n, 3) for n in range(4)] + [("read rows", 5, None)]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "score: 0 of 3"
    assert said[1].startswith("score: 3 done in ")
    assert said[2] == "read rows: 5 of ?"


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_shown_where_nobody_looks(wanted, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither output of a script is touched when it is no terminal."""
    with show_progress(wanted, "train()") as report:
        report("score", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_bars_unless_they_are_turned_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default a call of more than a moment shows its stages with labeled times."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    with show_progress(False, "train()") as report:
        report("score", 1, 2)
    assert capsys.readouterr().err == ""
    with show_progress(True, "train()") as report:
        report("score", 1, 2)
        report("score", 2, 2)
    shown = capsys.readouterr().err
    assert "score" in shown
    assert "elapsed" in shown
    assert "remaining" in shown


def test_a_notebook_shows_lines_that_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One display per call, updated in place, without widgets."""
    ipython = pytest.importorskip("IPython.display")
    shown: list[dict[str, str]] = []

    class Handle:
        def update(self, said: dict[str, str], *, raw: bool) -> None:
            shown.append(said)

    monkeypatch.setattr(progress, "_view", progress._Lines)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(
        ipython, "display", lambda said, *, raw, display_id: shown.append(said) or Handle()
    )
    with show_progress(True, "train()") as report:
        report("<score>", 1, 2)
        report("<score>", 2, 2)
    assert shown[-1]["text/plain"].startswith("<score>: 2 of 2, elapsed 0:0")
    assert "&lt;score&gt;" in shown[-1]["text/html"]


def test_progress_that_is_neither_is_an_error() -> None:
    """The public function and the value are named."""
    with (
        pytest.raises(ArgumentError, match=r"train\(\).*'bar'"),
        show_progress("bar", "train()"),  # type: ignore[arg-type]
    ):
        pass
