"""The page of a survey in a real Chromium, on a phone: nothing is cut off or runs out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from usersim.survey import (
    LikertScale,
    Matrix,
    MultipleChoice,
    NumberQuestion,
    SingleChoice,
    Survey,
)
from usersim.survey.report import write_survey_report
from usersim.survey.samples import HumanAnswers, read_human

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ANSWER = "Yes, at all times and without any exception, even for deliveries early in the morning"
POINTS = ("very dissatisfied", "dissatisfied", "neither", "satisfied", WORD)
SURVEY = Survey(
    title=f"Streets and {WORD}",
    questions=(
        SingleChoice(id="cars", text="No cars near schools?", options=(ANSWER, "No")),
        MultipleChoice(id="own", text="Which do you own?", options=("A car", WORD)),
        Matrix(id="views", text="Do you agree?", rows=(WORD, "It is quiet."), options=POINTS),
        LikertScale(id="identifiers_may_have_up_to_sixty_four_characters_and_this_has_63",
                    text="How satisfied are you?", points=POINTS),
        NumberQuestion(id="cups", text="Cups a day?"),
    ),
)  # fmt: skip

LEGIBLE = """() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) faults.push(`the page scrolls sideways by ${wide} px`);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    if (!walk.currentNode.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(walk.currentNode);
    const box = walk.currentNode.parentElement.closest(".wide");
    const room = box ? box.clientWidth : innerWidth;
    if (range.getBoundingClientRect().width > room)
      faults.push(`wider than the screen: ${walk.currentNode.data}`);
    if (walk.currentNode.parentElement.matches(".figures tbody td") &&
        /\\[/.test(walk.currentNode.data) && range.getClientRects().length > 2)
      faults.push(`an interval is broken: ${walk.currentNode.data}`);
  }
  return faults;
}"""


def asked(name: str) -> HumanAnswers:
    """Answers of thirty respondents to every question."""
    last = SURVEY.questions[3].id
    return read_human(SURVEY, [
        {"respondent": f"{name}{n}", "cars": (ANSWER, "No")[n % 2], "own_1": ("yes", "no")[n % 2],
         "own_2": "no", "views_1": POINTS[n % 5], "views_2": POINTS[n % 3], last: POINTS[n % 4],
         "cups": n}
        for n in range(30)
    ])  # fmt: skip


@pytest.mark.parametrize("compared", [True, False])
def test_the_page_can_be_read_on_a_phone(
    chromium: Browser, tmp_path: Path, *, compared: bool
) -> None:
    """With long words, labels and ids the page does not scroll sideways, and texts wrap."""
    people = asked("h").table if compared else None
    page = write_survey_report(
        asked("p").table, tmp_path / "r.html", human=people, title=SURVEY.title,
        provenance={"answers": f"/home/{WORD}/{WORD}.jsonl"},
    )  # fmt: skip
    view = chromium.new_page(viewport={"width": 375, "height": 740})
    view.goto(page.resolve().as_uri())
    assert view.get_by_role("img").count() > 2
    assert view.evaluate(LEGIBLE) == []
    view.close()
