"""Draw the pictures of the documentation from the product itself.

    python docs/draw_pictures.py [MODEL] [--to FOLDER]

Sixty invented people answer ten statements; a rule with some chance in it makes their answers. The
last twenty leave four of the statements out, and the product fills these in. Three pictures come of
it: an answer in the terminal, the candidate traces of one interaction in the explorer, and the
chart of a simulated survey. Needs the extras `local`, `report` and `server`, Playwright and an
installed Chromium; without MODEL the embedded model answers. Takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

from usersim import Corpus, PipelineConfig, Population, SimulationConfig, Survey, UserSimulator
from usersim.explorer import Explorer, ServedExplorer
from usersim.survey import LikertScale
from usersim.survey.report import write_survey_report
from usersim.survey.samples import human_table

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES = Path(__file__).parent / "pictures"
POINTS = ("strongly disagree", "disagree", "neither", "agree", "strongly agree")
SUBJECT = "mira"
# A statement, and how it goes with the two traits of a person: planning, company.
STATEMENTS = {
    "lastminute": ("I often book trips at the last minute.", -0.9, 0.2),
    "strangers": ("I talk to strangers on the train.", -0.1, 0.8),
    "quiet": ("After work I need time alone.", 0.1, -0.9),
    "tidy": ("My desk is tidy.", 0.7, 0.0),
    "lists": ("I write lists before I go shopping.", 0.9, 0.0),
    "parties": ("I enjoy large parties.", -0.2, 1.0),
    "plan": ("I plan my week in advance.", 1.0, 0.0),
    "guests": ("I like to have guests at the weekend.", 0.0, 0.9),
    "early": ("I arrive early for trains.", 0.8, -0.1),
    "phone": ("I call friends just to talk.", 0.0, 0.8),
}
ASKED = ("lastminute", "strangers", "quiet", "tidy")
PEOPLE, FILLED_IN = 60, 20


def people() -> dict[str, dict[str, str]]:
    """Return everybody's answers to every statement."""
    dice = random.Random(7)  # noqa: S311 - no secret
    names = [SUBJECT, *(f"person-{n:02}" for n in range(1, PEOPLE))]
    answers = {}
    for name in names:
        traits = (1.1, -0.9) if name == SUBJECT else (dice.gauss(0, 1), dice.gauss(0, 1))
        answers[name] = {
            item: POINTS[_point(planning * traits[0] + company * traits[1] + dice.gauss(0, 0.5))]
            for item, (_, planning, company) in STATEMENTS.items()
        }
    return answers


def _point(value: float) -> int:
    return sum(value > edge for edge in (-1.1, -0.35, 0.35, 1.1))


def rows(answers: dict[str, dict[str, str]], filled_in: list[str]) -> Iterator[dict[str, object]]:
    """Make the corpus: everything but the asked statements of those whom the product fills in.

    Yields:
        One answer each.
    """
    for name, given in answers.items():
        left = [item for item in given if not (name in filled_in and item in ASKED)]
        for order, item in enumerate(left):
            yield {
                "user_id": name,
                "order": order,
                "context": STATEMENTS[item][0],
                "action": given[item],
                "action_type": "scale",
                "options": list(POINTS),
            }


def draw_answer(sim: UserSimulator, path: Path) -> None:
    """Draw the panel that `usersim respond` prints."""
    question = STATEMENTS["lastminute"][0]
    answer = sim.respond(question, user_id=SUBJECT, options=list(POINTS), kind="scale", seed=1)
    console = Console(record=True, width=96, file=StringIO(), force_terminal=True)
    console.print(answer)
    drawn = console.export_svg(title=f'usersim respond "{question}" --user {SUBJECT} …')
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # nothing is fetched
    path.write_text(drawn.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def draw_survey(sim: UserSimulator, answers: dict[str, dict[str, str]], page: Path) -> None:
    """Ask the statements that were left out, and write the report's page."""
    questions = tuple(
        LikertScale(id=item, text=STATEMENTS[item][0], points=POINTS) for item in ASKED
    )
    survey = Survey(title="Weekends", questions=questions)
    filled_in = list(answers)[:FILLED_IN]
    chosen = Population.of(sim).keep(filled_in)
    asked = [
        {"respondent": name, **{item: answers[name][item] for item in ASKED}} for name in filled_in
    ]
    write_survey_report(
        chosen.table(survey.run(chosen)),
        page,
        human=human_table(survey, asked),
        title=survey.title,
        provenance={"people": "invented: docs/draw_pictures.py"},
    )


@contextmanager
def served(sim: UserSimulator) -> Iterator[str]:
    """Serve the explorer on a free port while the block runs.

    Yields:
        Its address.
    """
    server = ServedExplorer(Explorer.of(sim), host="127.0.0.1", port=0, key=None)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server.url.rstrip("/")
    finally:
        server.stop()
        thread.join()


def photograph(
    browser: Browser, address: str, selector: str, path: Path, *, width: int, height: int
) -> None:
    """Save the upper part of one element of a page, in 64 colors."""
    from PIL import Image

    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(address)
    taken = Image.open(BytesIO(page.locator(selector).first.screenshot()))
    page.close()
    kept = taken.crop((0, 0, taken.width, min(taken.height, height)))
    kept.convert("RGB").quantize(64).save(path, optimize=True)


def main() -> None:
    """Draw all three."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="embedded")
    parser.add_argument("--to", type=Path, default=PICTURES)
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    answers = people()
    tiny = PipelineConfig.preset("tiny")
    quick = tiny.model_copy(update={"simulation": SimulationConfig(traces=0)})
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "people.usersim.db"
        corpus = list(rows(answers, list(answers)[:FILLED_IN]))
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with Corpus.open(store) as opened:
            opened.add(corpus)
        with UserSimulator.open(store, user_id=SUBJECT, config=tiny, model=given.model) as sim:
            draw_answer(sim, given.to / "answer.svg")
            found = sim.reconstruct(limit=4)
            decisions = found.selections.items()
            key = next(key for key, decision in decisions if decision.kept is not None)
            with served(sim) as address:
                photograph(
                    browser,
                    f"{address}/interaction?key={key}",
                    "main",
                    given.to / "explorer.png",
                    width=1200,
                    height=1000,
                )
        with UserSimulator.open(store, config=quick, model=given.model) as sim:
            page = Path(folder) / "report.html"
            draw_survey(sim, answers, page)
        photograph(
            browser, page.as_uri(), "figure", given.to / "survey.png", width=1000, height=900
        )
        browser.close()


if __name__ == "__main__":
    main()
