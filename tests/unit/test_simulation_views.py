"""Views of an answer: plain data, terminal, notebook and data frame; texts stay texts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from pydantic import TypeAdapter
from rich.console import Console

from tests.fixtures.people import DRINKS, HOBBIES, OWN, SPACES, TEXT, engine, question
from usersim.config import SimulationConfig
from usersim.errors import MissingDependencyError
from usersim.simulation import Answer, RespondItem, respond, to_frame
from usersim.types import Choice, Share

HOSTILE = "<script>alert('x')</script> [bold]loud[/bold] {{ 7*7 }} & \"quoted\""


def answer(space=TEXT, *, user_id: str = "ada", explain: bool = True, **engine_fields) -> Answer:
    """One answer with everything in it."""
    item = RespondItem(
        user_id=user_id, question=question(f"Well? {HOSTILE}", space), reasonings={"k": "Older."}
    )
    model = engine(**{"action": OWN.get(space.kind, "Yes."), **engine_fields})
    (made,) = respond(model, [item], config=SimulationConfig(traces=2), explain=explain).items
    return made


def shown(made: Answer, width: int = 200) -> str:
    """What a terminal shows."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(made)
    return capture.get()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.kind)
def test_plain_data_loses_nothing(space) -> None:
    """Through `to_json` and back an answer is equal to itself, its types included."""
    made = answer(space)
    data = json.loads(made.to_json())
    assert data == made.to_dict()
    assert TypeAdapter(Answer).validate_python(data) == made


def test_every_export_says_that_it_is_simulated() -> None:
    """The mark travels with dict, JSON, frame, terminal and notebook."""
    made = answer()
    assert made.simulated is True
    assert made.to_dict()["simulated"] is True
    assert to_frame([made]).loc[0, "simulated"]
    assert "simulated" in shown(made)
    assert "simulated" in made._repr_html_()


class Tags(HTMLParser):
    """Collects tags and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Keep the tag."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.texts.append(data)


def test_the_notebook_view_escapes_every_text() -> None:
    """Markup in reasoning, action, options or names is shown and never becomes markup."""
    hostile = Choice((HOSTILE, "no"))
    made = answer(hostile, user_id="<img src=x>", reasoning=HOSTILE)
    assert made.action in hostile.options
    page = Tags()
    page.feed(replace(made, action=HOSTILE)._repr_html_())
    assert not {"script", "img", "iframe", "link"} & set(page.tags)
    texts = "".join(page.texts)
    assert texts.count(HOSTILE) >= 3  # reasoning, action, option
    assert "<img src=x>" in texts


def test_the_terminal_view_prints_markup_literally() -> None:
    """Square brackets of a text are no style."""
    made = answer(Choice((HOSTILE, "no")), user_id="[red]ada[/red]", reasoning=HOSTILE)
    text = shown(replace(made, action=HOSTILE))
    assert text.count("[bold]loud[/bold]") >= 3
    assert "[red]ada[/red]" in text


def test_the_terminal_view_tells_what_stands_behind_the_answer() -> None:
    """User, traces, engine, seed, influence, and every option with its probability."""
    made = answer(DRINKS)
    text = shown(made)
    for part in ("as ada might answer", "2 drawn", "base model", made.trace.engine, "influence"):
        assert part in text
    for option, p in made.probabilities.items():
        assert option in text
        assert f"{p:.2f}" in text
    weighted = replace(made, trace=replace(made.trace, reasoning_weight=0.25))
    assert "reasoning weight" in shown(weighted)
    assert "reasoning weight" not in text


def test_the_views_say_once_where_an_answer_comes_from() -> None:
    """One label, and the predictors that took part with their shares, whole at 80 columns."""
    made = answer(DRINKS)
    shares = {"own_scale": 0.5, "reasoning": 0.4, "no_reasoning": 0.1, "panel": 0.0}
    parts = tuple(
        Share(predictor=name, probabilities=made.probabilities, weight=1, share=share)
        for name, share in shares.items()
    )
    pooled = replace(made, trace=replace(made.trace, predictors=parts))
    assert pooled.trace.origin.startswith("From 50% the person's use of these options, 40%")
    lines = [line.strip("│ ") for line in shown(pooled, width=80).splitlines()]
    assert "own scale 50%, reasoning 40%, model 10%" in lines
    assert any(re.match(r"from\s+50% the person's use", line) for line in lines)
    html = pooled._repr_html_()
    assert "panel" not in html
    assert "From" not in html


def test_trace_and_answer_are_labeled() -> None:
    """Both views say which text is the trace and which the answer; without a trace, one label."""
    made = answer(DRINKS, reasoning="It is late.")
    lines = [re.split(r"\s{2,}", line.strip("│ ")) for line in shown(made).splitlines()]
    assert ["trace", "It is late."] in lines
    assert ["answer", str(made.action)] in lines
    html = made._repr_html_()
    assert html.index(">trace<") < html.index("It is late.") < html.index(">answer<")
    plain = replace(made, reasoning="")
    assert not any(line[0] == "trace" for line in (x.split() for x in shown(plain).splitlines()))
    assert ">trace<" not in plain._repr_html_()


def test_the_views_say_where_no_trace_could_be_read() -> None:
    """An answer without readable reasoning says so, and how many texts there were."""
    made = answer(DRINKS, reasoning=" \n</think>")
    assert made.trace.reasoning_failed
    said = f"none of {len(made.trace.unreadable)} was readable; answered without reasoning"
    assert said in shown(made)
    assert said in made._repr_html_()
    assert to_frame([made]).loc[0, "reasoning_failed"]


def test_an_action_as_text() -> None:
    """A number without needless digits, several options with a bar, text as it is."""
    assert str(answer(HOBBIES)) == "reading | music"
    assert str(replace(answer(), action=42.0)) == "42"
    assert str(replace(answer(), action=1234567.0)) == "1234567"
    assert str(replace(answer(HOBBIES), action=())) == "(none of these)"
    assert str(answer()) == "Yes."


def test_a_frame_has_one_row_per_answer() -> None:
    """Every answer of a batch, of whatever kind, in order."""
    made = [answer(space) for space in SPACES]
    frame = to_frame(made)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["action"]) == [one.action for one in made]
    assert list(frame["user_id"]) == ["ada"] * len(SPACES)
    assert frame.loc[0, "probabilities"] == dict(made[0].probabilities)
    assert all(HOSTILE in text for text in frame["context"])
    assert to_frame([]).empty


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the message names the command that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="'pandas'") as caught:
        to_frame([answer()])
    assert caught.value.hint == 'install it with: pip install "usersim-recon[report]"'
