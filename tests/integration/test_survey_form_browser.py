"""The form of an instrument in a real Chromium: filled in, saved, and read back as `--human`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fixtures.surveys import EVERY
from tests.property.test_survey_laws import expressions, givens
from tests.property.test_survey_qsf_export import instruments
from usersim.cli.survey.weights import human_rows
from usersim.survey import (
    Ask,
    Budget,
    GivenAnswer,
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    PartReply,
    Passage,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    column_of,
    conduct,
    parse,
)
from usersim.survey.elicitation import GIVES_AN_ANSWER
from usersim.survey.files import write_form
from usersim.survey.files.form.page import condition_data
from usersim.survey.samples import read_human

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOSTILE = (
    "</script><script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "<!-- {{ not",
    "'; window.hit=1; '",
    '=HYPERLINK("http://127.0.0.1","x")',
    "مرحبا \u202e abc",
    "__proto__",
    "-5 & <b>bold</b>",
)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page without a network, on which errors and requests are noted."""
    context = chromium.new_context(viewport={"width": 1000, "height": 900}, accept_downloads=True)
    context.set_offline(True)
    made = context.new_page()
    made.set_default_timeout(20_000)
    made.on("pageerror", lambda error: _told(made).append(str(error)))
    made.on("console", lambda message: _told(made).append(message.text))
    made.on("request", lambda request: _asked(made).append(request.url))
    yield made
    context.close()


def _told(page: Page) -> list[str]:
    return page.__dict__.setdefault("told", [])


def _asked(page: Page) -> list[str]:
    return page.__dict__.setdefault("asked", [])


def opened(page: Page, survey: Survey, folder: Path, end: str = "", **more: Any) -> None:
    """Write the form of an instrument and open it as a file."""
    written = write_form(survey, folder / "form.html", **more)
    page.goto("about:blank")  # the same address with a fragment would not load again
    page.goto(written.path.resolve().as_uri() + end)


def field(page: Page, text: str) -> Any:
    """The question with a text."""
    return page.get_by_role("group", name=text, exact=True)


def saved(page: Page, folder: Path) -> Path:
    """Press the button, and return the file that the browser saves."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save my answers").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


LAID_OUT = """() => {
  const faults = [];
  const main = document.querySelector("main").getBoundingClientRect();
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) faults.push(`the page scrolls sideways by ${wide} px`);
  for (const set of document.querySelectorAll("fieldset")) {
    const legend = set.querySelector("legend");
    const own = [...set.querySelectorAll("input, select, textarea, label")];
    for (const one of own.filter((each) => each.checkVisibility())) {
      const box = one.getBoundingClientRect();
      if (box.top < legend.getBoundingClientRect().bottom - 1)
        faults.push(`beside ${legend.textContent}`);
      if (box.right > main.right + 1) faults.push(`outside ${legend.textContent}`);
    }
  }
  return faults;
}"""


@pytest.mark.parametrize("width", [1280, 400])
def test_every_control_stands_below_its_question(page: Page, tmp_path: Path, width: int) -> None:
    """On a desk and on a phone nothing stands beside a question or outside the column of text."""
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, EVERY, tmp_path)
    assert page.evaluate("document.querySelectorAll('fieldset').length") > 5
    assert page.evaluate(LAID_OUT) == []


def fill_every(page: Page, *, drink: str) -> None:
    """Answer every question of `EVERY` that is shown."""
    field(page, "What do you drink in the garden?").get_by_label(drink, exact=True).check()
    if drink == "tea":
        field(page, "Milk in your tea?").get_by_label("yes").check()
    else:
        field(page, "Sugar?").get_by_label("no").check()
    for hobby in ("reading", "music"):
        field(page, "What do you do there?").get_by_label(hobby).check()
    field(page, "How much do you like it?").get_by_label("4", exact=True).check()
    field(page, "How long?").get_by_role("spinbutton").fill("3")
    for plant, rank in {"fern": "2", "rose": "3", "moss": "1"}.items():
        field(page, "Which plants?").get_by_label(plant).select_option(rank)
    for part, amount in {"seeds": "2", "tools": "7"}.items():
        field(page, "Where does it go?").get_by_label(part).fill(amount)
    for row, answer in {"It is quiet.": "yes", "It is mine.": "partly"}.items():
        page.get_by_role("radiogroup", name=row).get_by_label(answer, exact=True).check()
    field(page, "Why?").get_by_role("textbox").fill('=1+1, "said"\nshe')


def test_answers_come_back_as_a_human_sample(page: Page, tmp_path: Path) -> None:
    """Two respondents fill in the same file; the folder of their files is read, values equal."""
    folder = tmp_path / "saved"
    folder.mkdir()
    opened(page, EVERY, tmp_path, "#ada%20b")
    assert page.get_by_label("Your id in this survey").input_value() == "ada b"
    assert not field(page, "Sugar?").is_visible()
    fill_every(page, drink="tea")
    assert not field(page, "Sugar?").is_visible()
    saved(page, folder)
    page.get_by_role("button", name="Next respondent").click()
    second = page.get_by_label("Your id in this survey").input_value()
    assert second.startswith("p-")
    fill_every(page, drink="water")
    assert not page.get_by_role("group", name="Milk in your water?").is_visible()
    saved(page, folder)
    rows = {str(row["respondent"]): row for row in human_rows(folder)}
    shared = {
        "hobbies_1": "yes", "hobbies_2": "no", "hobbies_3": "yes", "hobbies_4": "no", "joy": "4",
        "hours": "3", "plants_1": "2", "plants_2": "3", "plants_3": "1", "money_1": "2",
        "money_2": "7", "views_1": "yes", "views_2": "partly", "why": '=1+1, "said"\nshe',
    }  # fmt: skip
    assert rows == {
        "ada b": {"respondent": "ada b", "drink": "tea", "milk": "yes", "sugar": "", **shared},
        second: {"respondent": second, "drink": "water", "milk": "", "sugar": "no", **shared},
    }
    sample = read_human(EVERY, human_rows(folder))
    assert sample.absent == ()
    assert sample.table.respondents == ("ada b", second)
    assert sample.table.shares("drink").tolist() == [0.5, 0.0, 0.5, 0.0]
    assert _told(page) == []
    assert {one.partition(":")[0] for one in _asked(page)} <= {"file", "blob"}


def test_what_is_missing_or_out_of_range_is_said_and_not_saved(page: Page, tmp_path: Path) -> None:
    """Each question says what it needs, and the first one gets the focus."""
    opened(page, EVERY, tmp_path)
    page.get_by_role("button", name="Save my answers").click()
    assert page.get_by_role("alert").inner_text() == "7 of the questions need an answer."
    assert page.evaluate("document.activeElement.type") == "radio"
    fill_every(page, drink="coffee")
    hours, money = field(page, "How long?"), field(page, "Where does it go?")
    plants = field(page, "Which plants?")
    hours.get_by_role("spinbutton").fill("25")
    money.get_by_label("seeds").fill("3")
    plants.get_by_label("fern").select_option("1")
    page.get_by_role("button", name="Save my answers").click()
    assert "Enter at most 24." in hours.inner_text()
    assert "Enter whole amounts that add up to 9." in money.inner_text()
    assert "so far 10." in money.inner_text()
    assert "a place of its own, from 1 to 3." in plants.inner_text()
    hours.get_by_role("spinbutton").fill("2.5")
    assert "Enter a whole number." in hours.inner_text()
    assert page.get_by_role("button", name="Next respondent").count() == 0


RULES = Survey(
    title="Rules",
    questions=(
        MultipleChoice(id="some", text="Some?", options=("a", "b", "c", "none"), least=1, most=2,
                       exclusive=("none",), refusal=("no idea",)),
        NumberQuestion(id="cups", text="Cups?", refusal=("no idea",), low=0),
        SingleChoice(id="best", text="Best?", options=("a", "b", "c"),
                     options_if={one: f'selected(some, "{one}")' for one in "abc"}),
        Matrix(id="grid", text="Grid", rows=("a", "b"), options=("-", "+"),
               rows_if={"a": 'selected(some, "a")'}, refusal=("no idea",)),
        Budget(id="money", text="Money", options=("x", "y"), total=2.5, integer=False),
    ),
)  # fmt: skip


def test_limits_exclusive_options_refusals_and_conditions_of_options(
    page: Page, tmp_path: Path
) -> None:
    """One of several that excludes the others unticks them; what is not shown stays empty."""
    opened(page, RULES, tmp_path, "#bo")
    some = field(page, "Some?")
    for one in "abc":
        some.get_by_label(one, exact=True).check()
    page.get_by_role("button", name="Save my answers").click()
    assert "Choose at most 2." in some.inner_text()
    some.get_by_label("none", exact=True).check()
    assert not some.get_by_label("a", exact=True).is_checked()
    assert not field(page, "Best?").is_visible()
    some.get_by_label("b", exact=True).check()
    assert not some.get_by_label("none", exact=True).is_checked()
    assert field(page, "Best?").get_by_label("b", exact=True).is_checked()
    assert page.get_by_role("radiogroup", name="a").count() == 0
    cups = field(page, "Cups?")
    cups.get_by_label("no idea").check()
    assert cups.get_by_role("spinbutton").is_disabled()
    page.get_by_role("radiogroup", name="b").get_by_label("no idea").check()
    field(page, "Money").get_by_label("x").fill("0.1")
    field(page, "Money").get_by_label("y").fill("2.4")
    (row,) = human_rows(saved(page, tmp_path))
    assert row == {
        "respondent": "bo", "some_1": "no", "some_2": "yes", "some_3": "no", "some_4": "no",
        "cups": "no idea", "best": "b", "grid_1": "", "grid_2": "no idea", "money_1": "0.1",
        "money_2": "2.4",
    }  # fmt: skip
    table = read_human(RULES, [row]).table
    assert table.answered("cups").sum() == 0
    assert table.answered("grid_2").sum() == 0


def test_blanks_are_saved_where_answers_are_not_required(page: Page, tmp_path: Path) -> None:
    """An empty form gives a row of empty cells; what is wrong is still said."""
    opened(page, EVERY, tmp_path, "#bo", required=False)
    field(page, "How long?").get_by_role("spinbutton").fill("-1")
    page.get_by_role("button", name="Save my answers").click()
    assert "Enter at least 0." in field(page, "How long?").inner_text()
    field(page, "How long?").get_by_role("spinbutton").fill("")
    (row,) = human_rows(saved(page, tmp_path))
    assert {value for name, value in row.items() if name != "respondent"} == {""}


def hostile() -> Survey:
    """An instrument with hostile texts wherever there can be any."""
    rest = tuple(one for one in HOSTILE if "{{" not in one and "\u202e" not in one)
    text = HOSTILE[0] + HOSTILE[1]
    return Survey(
        title=HOSTILE[0],
        instruction=HOSTILE[1],
        sections=(
            Section(
                id="s",
                text=HOSTILE[3],
                passages=(Passage(text=text),),
                questions=(
                    SingleChoice(id="one", text=HOSTILE[5], options=rest, refusal=("</style>",)),
                    MultipleChoice(id="many", text=text, options=rest, instruction=HOSTILE[6]),
                    LikertScale(id="scale", text="s {{ one }}", low=HOSTILE[1], high=HOSTILE[0]),
                    Ranking(id="ranks", text="{{ many }}", options=rest[:2]),
                    OpenText(id="words", text=HOSTILE[7]),
                ),
            ),
        ),
    )


def test_hostile_texts_stand_there_as_text_and_come_back_as_labels(
    page: Page, tmp_path: Path
) -> None:
    """No text runs or breaks the page, also piped ones; every label comes back equal."""
    survey = hostile()
    opened(page, survey, tmp_path, "#" + "%3D1%2B1")
    options = survey.question("one").options
    groups = page.locator("fieldset")
    for label in options:
        groups.nth(0).get_by_label(label, exact=True).check()
        assert label in groups.nth(2).inner_text()
    groups.nth(0).get_by_label(options[4], exact=True).check()
    for label in options:
        groups.nth(1).get_by_label(label, exact=True).check()
    groups.nth(2).get_by_label("3", exact=True).check()
    for place, label in enumerate(options[:2], start=1):
        groups.nth(3).get_by_label(label, exact=True).select_option(str(place))
    groups.nth(4).get_by_role("textbox").fill("@sum")
    assert page.locator("main img, main script, main [onerror], main b").count() == 0
    assert page.evaluate("window.hit") is None
    assert page.title() == survey.title
    (row,) = human_rows(saved(page, tmp_path))
    assert row["respondent"] == "=1+1"
    assert row["one"] == options[4]
    assert [row[f"many_{place}"] for place in range(1, len(options) + 1)] == ["yes"] * len(options)
    assert row["words"] == "@sum"
    assert read_human(survey, [row]).table.shares("one").argmax() == 4
    assert _told(page) == []


def test_everybody_can_use_the_form(page: Page, tmp_path: Path) -> None:
    """Axe finds nothing: every control has a name, every group too; a keyboard reaches all."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    opened(page, EVERY, tmp_path)
    found = axe.Axe().run(page)
    assert found.response["violations"] == []
    page.get_by_label("Your id in this survey").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.checked") is True


def test_orders_are_drawn_and_what_stays_last_does(page: Page, tmp_path: Path) -> None:
    """Options and sections change places; `last` and `fixed` do not."""
    options = tuple("abcdefgh")
    survey = Survey(
        title="Orders",
        random_sections=True,
        sections=tuple(
            Section(
                id=f"s{n}",
                fixed=n == 0,
                questions=(
                    SingleChoice(id=f"q{n}", text=f"Q{n}", options=options, random_order=True,
                                 last=("a",)),
                ),
            )
            for n in range(6)
        ),
    )  # fmt: skip
    opened(page, survey, tmp_path)
    orders: set[str] = set()
    for _ in range(6):
        page.reload()
        texts = page.locator("legend").all_inner_texts()
        assert texts[0] == "Q0"
        assert sorted(texts) == [f"Q{n}" for n in range(6)]
        shown = page.locator("fieldset").first.locator("label").all_inner_texts()
        assert shown[-1] == "a"
        assert sorted(shown) == list(options)
        orders |= {"".join(texts), "".join(shown)}
    assert len(orders) > 6


def plain(told: Mapping[str, GivenAnswer]) -> list[object]:
    """GivenAnswer answers as the form's script holds them."""
    return [
        [name, {"state": one.state, "items": list(one.items.items()), "label": one.label,
                "codes": list(one.codes.items()), "kind": one.kind}]
        for name, one in told.items()
    ]  # fmt: skip


CHECK = """(cases) => cases.map(([condition, told]) => {
  const given = new Map(told.map(([name, one]) =>
    [name, { ...one, items: new Map(one.items), codes: new Map(one.codes) }]));
  return [usersimForm.holds(condition, given),
          [...given.values()].map((one) => usersimForm.textOf(one))];
})"""


def test_conditions_and_texts_mean_in_the_form_what_they_mean_in_python(
    page: Page, tmp_path: Path
) -> None:
    """The two evaluators agree on conditions of every kind and on answers of every state."""
    opened(page, RULES, tmp_path)
    cases: list[tuple[str, dict[str, GivenAnswer]]] = []

    @settings(max_examples=300, phases=[Phase.generate], database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(expressions, givens)
    def collect(text: str, told: dict[str, GivenAnswer]) -> None:
        cases.append((text, told))

    collect()
    several = GivenAnswer(state="answered", items={"x": "yes", "y": "no"}, kind="multiple_choice")
    scale = GivenAnswer(
        state="answered", items={"": "low"}, codes={"low": 1, "high": 2}, kind="likert"
    )
    ranks = GivenAnswer(state="answered", items={"x": 2.0, "y": 1.0}, kind="ranking")
    long = GivenAnswer(state="answered", items={"": "🙂" * 700}, kind="open_text")
    more = [
        'selected(a, "x")', 'selected(a, "y")', '"x" in a', '"x" not in a', "b >= 2", 'b < "high"',
        'b in ["low", "none"]', "b not in [1, 2]", 'item(c, "x") == 2', 'item(c, "y") > b',
        "1 <= b <= 2", 'item(a, "x") == "yes"', "answered(d)", "refused(c)", "b == [1]", "1 == 1",
    ]  # fmt: skip
    cases += [(text, {"a": several, "b": scale, "c": ranks, "d": long}) for text in more]
    said = page.evaluate(CHECK, json.loads(json.dumps(
        [[condition_data(text), plain(told)] for text, told in cases])))  # fmt: skip
    for (text, told), (held, texts) in zip(cases, said, strict=True):
        assert held is parse(text).holds(told), (text, told)
        for one, shown in zip(told.values(), texts, strict=True):
            numeric = any(isinstance(value, float) for value in one.items.values())
            assert numeric or shown == one.text


FILL = """(seed) => {
  let state = seed;
  const draw = (n) => { state = (state * 1103515245 + 12345) % 2147483648; return state % n; };
  const seen = (one) => one.offsetParent !== null && !one.disabled;
  for (let round = 0; round < 40; round += 1) {
    let changed = false;
    for (const box of document.querySelectorAll("fieldset")) {
      if (box.offsetParent === null) continue;
      const set = (one, value) => {
        if (value === true) one.checked = true; else one.value = value;
        one.dispatchEvent(new Event("change", { bubbles: true }));
        changed = true;
      };
      const inputs = (kind) => [...box.querySelectorAll(kind)].filter(seen);
      const radios = inputs("input[type=radio]");
      for (const name of new Set(radios.map((one) => one.name))) {
        const own = radios.filter((one) => one.name === name);
        if (!own.some((one) => one.checked)) set(own[draw(own.length)], true);
      }
      const ticks = inputs("input[type=checkbox]");
      const needed = Number(/Choose at least (\\d+)\\./.exec(box.innerText)?.[1] ?? 0);
      for (const one of ticks.slice(0, needed)) if (!one.checked) set(one, true);
      const most = Number(/Choose at most (\\d+)\\./.exec(box.innerText)?.[1] ?? ticks.length);
      for (const one of ticks.filter((t) => t.checked).slice(most)) {
        one.checked = false;
        one.dispatchEvent(new Event("change", { bubbles: true }));
        changed = true;
      }
      if (box.dataset.filled) continue;
      box.dataset.filled = "1";
      changed = true;
      if (ticks.length && draw(2)) set(ticks[draw(ticks.length)], true);
      inputs("select").forEach((one, place) => set(one, String(place + 1)));
      const numbers = inputs("input[type=number]");
      const total = /Distribute ([\\d.]+)/.exec(box.innerText)?.[1];
      numbers.forEach((one, place) => set(one, total ? (place ? "0" : total)
        : one.max !== "" && Number(one.max) < 3 ? one.max : "3"));
      inputs("textarea").forEach((one) => set(one, draw(2) ? "tea" : "other"));
    }
    // What is shown may have changed: ranks and totals are of what is shown now.
    for (const box of document.querySelectorAll("fieldset")) {
      const selects = [...box.querySelectorAll("select")].filter(seen);
      const places = selects.map((one) => one.value);
      if (selects.length && new Set(places).size < places.length) delete box.dataset.filled;
      if (selects.some((one) => Number(one.value) > selects.length)) delete box.dataset.filled;
    }
    if (!changed) return round;
  }
  return -1;
}"""


class Replay:
    """A respondent who answers what stands in a row that the form saved."""

    people = ("r",)
    seed = 0
    decision = "likeliest"
    provenance: Mapping[str, Any] = {}

    def __init__(self, survey: Survey, row: Mapping[str, object]) -> None:
        self.survey, self.row = survey, row

    def names(self, survey: str, waves: int) -> list[str]:
        """Nothing is kept."""
        return []

    def ask_many(self, asks: Any, **_: Any) -> list[PartReply]:
        """Return the cell of each question."""
        return [self.answer(ask) for ask in asks]

    def answer(self, ask: Ask) -> PartReply:
        """Return one cell; of ranks and amounts the worths that give them."""
        question = self.survey.question(ask.question)
        own = {item: str(self.row[column_of(question, item)]) for item in question.items}
        told = [value for value in own.values() if value]
        if ask.stage == "gate":
            said = told[0] if told[0] in question.refusal else GIVES_AN_ANSWER
            return PartReply(action=said, probabilities={}, traces=(), seed=0)
        if isinstance(question, Ranking | Budget):
            worth = {item: float(value or 0) for item, value in own.items()}
            if isinstance(question, Ranking):
                worth = {item: 1 / value if value else 0 for item, value in worth.items()}
            shares = {item: value / sum(worth.values()) for item, value in worth.items()}
            return PartReply(action=max(shares, key=shares.__getitem__), probabilities=shares,
                         traces=(), seed=0)  # fmt: skip
        value = own[ask.item]
        assert value, f"{ask.question} {ask.item} was asked here, and not in the form"
        number = isinstance(question, NumberQuestion)
        return PartReply(action=float(value) if number else value, probabilities={value: 1.0},
                     traces=(), seed=0)  # fmt: skip


def test_any_instrument_is_walked_in_the_form_as_the_simulated_walk_it(
    page: Page, tmp_path: Path
) -> None:
    """Random instruments, filled in at random: asked is who is asked here, and nothing else."""
    drawn: list[Survey] = []

    @settings(max_examples=12, phases=[Phase.generate], database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(instruments())
    def collect(survey: Survey) -> None:
        drawn.append(survey)

    collect()
    for seed, survey in enumerate(drawn, start=1):
        opened(page, survey, tmp_path, "#r")
        assert page.evaluate(FILL, seed) >= 0
        (row,) = human_rows(saved(page, tmp_path))
        walked = conduct(survey, Replay(survey, row))  # type: ignore[arg-type]
        for one in walked.responses:
            cell = row[column_of(survey.question(one.question), one.item)]
            assert (one.skipped is not None) is (cell == ""), (one, cell)
        assert walked.failures == ()
    assert _told(page) == []
