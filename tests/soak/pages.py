"""Pages with hostile text, in a real Chromium: nothing of it runs, and nothing is fetched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fixtures.explored import PAYLOADS
from tests.fixtures.people import OWN, engine, person
from tests.soak.attack import Field
from usersim import Corpus, UserSimulator
from usersim.engines import GenerateRequest
from usersim.explorer import export_run
from usersim.explorer.closeups import Explorer
from usersim.survey import LikertScale, OpenText, SingleChoice, Survey
from usersim.survey.base import unfit
from usersim.survey.report import write_survey_report
from usersim.survey.samples import table_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

MORE = (
    *PAYLOADS,
    "</style><script>window.hit=6</script>",
    "</script><script>window.hit=7</script>",
    "]]><script>window.hit=8</script>",
    "--><script>window.hit=9</script><!--",
    "<a href='javascript:window.hit=10' id=go>go</a>",
    "<img/src='http://evil.test/x.png'/onerror=window.hit=11>",
    "<link rel=stylesheet href=//evil.test/x.css><meta http-equiv=refresh content='0;//evil.test'>",
    "<base href=//evil.test><form action=//evil.test><input autofocus onfocus=window.hit=12>",
    "&lt;script&gt;window.hit=13&lt;/script&gt;",
    "\u202e</title><body onload=window.hit=14>\x00\x1b",
    "<style>@import '//evil.test/y.css';*{background:url(//evil.test/z)}</style>",
    "{{constructor.constructor('window.hit=15')()}}${window.hit=16}#{7*7}",
    "<math><mtext></mtext><svg><style><img src=x onerror=window.hit=17></style></svg></math>",
)
"""Ways out of a text into an element, an attribute, a style, a script or an address."""
FIRED = "() => window.hit === undefined && document.scripts.length <= 1"


def mixed(rng: random.Random, words: str) -> str:
    """A text with a payload in it."""
    cut = rng.randrange(len(words) + 1)
    return f"{words[:cut]}{rng.choice(MORE)}{words[cut:]}"[:400]


def label(rng: random.Random, words: str) -> str:
    """A label with a payload in it: a survey takes none with control signs or placeholders."""
    text = "".join(sign for sign in mixed(rng, words) if not unfit(sign))
    return text.replace("{{", "{").replace("}}", "}")[:90].strip()


def corpus_of(rng: random.Random, users: int = 2) -> list[dict[str, object]]:
    """Rows of people whose every text is hostile."""
    rows = [row for n in range(users) for row in person(f"u{n}{rng.choice(MORE)}", 6)]
    for row in rows:
        row["context"] = mixed(rng, str(row["context"]))
    return rows


def _model(rng: random.Random):
    def action(request: GenerateRequest, _: int) -> str:
        return rng.choice([*OWN.values(), mixed(rng, "I like it.")])

    return engine(reasoning=mixed(rng, "It was so before, and I said it."), action=action)


def make(rng: random.Random, folder: Path) -> list[Path]:
    """Write an explorer's export and a survey's page out of hostile texts; return their files."""
    survey = Survey(
        title=mixed(rng, "Tea"),
        questions=(
            SingleChoice(id="q1", text=mixed(rng, "Which?").replace("{{", "{").replace("}}", "}"),
                         options=(f"1 {label(rng, 'tea')}", f"2 {label(rng, 'milk')}")),
            LikertScale(id="q2", text="Joy?", low=label(rng, "no"), high="much", points=5),
            OpenText(id="q3", text="Why?"),
        ),
    )  # fmt: skip
    with Corpus.open(folder / "a.db") as corpus:
        corpus.add(corpus_of(rng))
    with UserSimulator(Corpus.open(folder / "a.db"), engine=_model(rng), config=_tiny()) as sim:
        users = sim.users
        run = sim.run([(user, mixed(rng, "Tea?")) for user in users * 2], name=mixed(rng, "run"))
        results = sim.survey(survey, users)
        export = export_run(Explorer.of(sim), folder / "pages", run=run.name, measure=True)
    page = write_survey_report(
        table_of([results]), folder / "survey.html", title=mixed(rng, "Report"),
        provenance={"command": mixed(rng, "usersim"), mixed(rng, "key"): 1},
    )  # fmt: skip
    return [page, *sorted(export.folder.glob("*.html"))]


def _tiny():
    from usersim.config import PipelineConfig

    return PipelineConfig.preset("tiny")


@contextmanager
def browser() -> Iterator[Browser]:
    """The machine's own Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def look(chromium: Browser, files: list[Path]) -> int:
    """Open every page, click what can be clicked, and check that nothing ran or was fetched."""
    context = chromium.new_context()
    page: Page = context.new_page()
    wrong: list[str] = []

    def route(asked: Route) -> None:
        url = asked.request.url
        if not url.startswith("file://"):
            wrong.append(f"fetched {url}")
            asked.abort()
            return
        asked.continue_()

    context.route("**/*", route)
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}") or dialog.dismiss())
    for file in files:
        page.goto(file.as_uri())
        for summary in page.locator("summary").all()[:20]:
            summary.click()
        links = page.locator("a[href^='javascript']").all()
        wrong += [f"link {link.get_attribute('href')}" for link in links]
        if not page.evaluate(FIRED):
            wrong.append(f"script in {file.name}: {page.evaluate('() => window.hit')}")
        assert page.url.startswith("file://"), page.url
    context.close()
    assert not wrong, wrong[:5]
    return len(files)


def once(field: Field) -> None:
    """One store and one survey, as pages."""
    if not Path("/usr/bin/chromium").exists():
        field.tally["pages: no Chromium"] += 1
        return
    files = make(field.rng, field.folder)
    with browser() as chromium:
        field.tally["pages in Chromium"] += look(chromium, files)
