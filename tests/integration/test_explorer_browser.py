"""The explorer in a real Chromium: nothing runs, nothing is fetched, everybody can use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.fixtures.explored import ADA, BOB, OPTIONS, PAYLOADS, RUN, THOUGHT
from usersim import UserSimulator
from usersim.explorer.closeups import Explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

PHONE = {"width": 360, "height": 740}

# Every text node's color against what is painted behind it (WCAG 2.2, relative luminance).
CONTRAST = """() => {
  const parse = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    return n.length < 4 ? [...n, 1] : n;
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] === 1) return c;
      if (c[3] !== 0) throw new Error("half transparent: " + e.className);
    }
    throw new Error("nothing is painted behind the text");
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.getClientRects().length) continue;
    const [a, b] = [parse(getComputedStyle(element).color), behind(element)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${element.className}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""


@pytest.fixture(scope="module")
def paths(explored: UserSimulator) -> dict[str, str]:
    """One address of every page, with everything that can be opened on it."""
    rows = list(explored.corpus.interactions([ADA], split="train"))
    free, closed = rows[2], rows[3]
    scored = explored.corpus.ledger.find_trace(free.key)
    ada, bob, run = (quote(one, safe="") for one in (ADA, BOB, RUN))
    return {
        "overview": "/",
        "people": "/people",
        "search": f"/people?q={quote(PAYLOADS[1], safe='')}x",
        "person": f"/person?user={ada}",
        "answers": f"/answers?user={ada}",
        "interaction": f"/interaction?key={free.key}",
        "closed": f"/interaction?key={closed.key}",
        "trace": f"/trace?key={scored[-1].candidate.key}&measure=1",
        "run": f"/run?name={run}",
        "choice": "/answer?id=1&measure=1",
        "open": "/answer?id=4&measure=1",
        "compare": f"/compare?answer=1&other={bob}",
        "error": f"/run?name={quote(PAYLOADS[0], safe='')}",
    }


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page on which errors and requests are noted."""
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    made = context.new_page()
    made.set_default_timeout(60_000)
    yield made
    context.close()


def test_no_text_of_a_corpus_ever_runs(page: Page, address: str, paths: dict[str, str]) -> None:
    """Payloads in every field stand there as text; no page complains or asks another server."""
    said: list[str] = []
    asked: list[str] = []

    def pass_on(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_()

    page.context.route("**/*", pass_on)
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    shown = ""
    for name, path in paths.items():
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.evaluate("window.hit") is None, name
        assert page.locator("main img, main iframe, main script, main [onerror]").count() == 0
        assert page.locator("[style]").count() == 0
        shown += page.locator("body").inner_text()
        if name == "error":
            said.clear()  # the browser itself tells of the status 404
        assert said == [], name
    flat = " ".join(shown.split())
    for text in (
        ADA,
        BOB,
        RUN,
        *OPTIONS,
        *PAYLOADS,
        THOUGHT,
        f"wave {PAYLOADS[2]}",
        f"arm {PAYLOADS[1]}",
    ):
        assert " ".join(text.split()) in flat
    assert {one for one in asked if not one.startswith(address + "/")} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(
    chromium: Browser, address: str, paths: dict[str, str], scheme: str
) -> None:
    """Every text has at least the contrast 4.5 to 1 against its ground (WCAG AA)."""
    with chromium.new_context(color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        grounds = set()
        for name, path in paths.items():
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
            assert page.evaluate(CONTRAST) == [], name
            grounds.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        assert len(grounds) == 1
        dark = sum(int(n) for n in grounds.pop()[4:-1].split(",")) < 3 * 128
        assert dark == (scheme == "dark")


def test_a_phone_never_scrolls_sideways(
    chromium: Browser, address: str, paths: dict[str, str]
) -> None:
    """At 360 pixels every page keeps its width; wide tables scroll within themselves."""
    with chromium.new_context(viewport=PHONE, is_mobile=True, has_touch=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        for name, path in paths.items():
            page.goto(address + path)
            page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= PHONE["width"], name


def test_the_keyboard_reaches_everything(page: Page, address: str, paths: dict[str, str]) -> None:
    """From the skip link on, Tab reaches every link, field and table; the focus can be seen."""
    page.goto(address + paths["trace"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(address + paths["trace"])
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], summary, input, button, [tabindex=\"0\"]')]"
        ".filter((one) => one.checkVisibility()).length"
    )
    reached = 0
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached += page.evaluate(
            "(one => one !== document.body && getComputedStyle(one).outlineStyle !== 'none')"
            "(document.activeElement)"
        )
    assert reached == wanted


def test_tokens_tell_their_numbers_without_a_mouse(
    page: Page, address: str, paths: dict[str, str]
) -> None:
    """Arrow keys walk the tokens, and the line below says what color and underline say."""
    page.goto(address + paths["trace"])
    tokens, readout = page.locator(".token[role=option]"), page.locator("[data-readout]").first
    assert readout.inner_text().startswith("Mean over")
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    second = tokens.nth(1)
    assert second.get_attribute("aria-selected") == "true"
    text = (second.text_content() or "").strip()
    assert readout.inner_text().startswith(f"“{text}”: ")
    assert "nats; p " in readout.inner_text()
    page.keyboard.press("End")
    assert readout.inner_text().startswith("“⏎”")
    styles = {
        name: page.locator(f".legend .{name}").evaluate(
            "(one) => getComputedStyle(one).textDecorationStyle"
        )
        for name in ("p3", "n3")
    }
    assert styles == {"p3": "solid", "n3": "wavy"}


def test_pages_work_without_scripts(chromium: Browser, address: str, paths: dict[str, str]) -> None:
    """Measuring, searching and comparing are links and forms; the numbers stand in a table."""
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(address + "/")
        page.fill("#q", "BOB")
        page.click("text=Find >> nth=-1")
        assert page.locator("tbody tr").count() == 1
        page.goto(address + "/answer?id=2")
        page.click("text=Measure it")
        page.click("text=The same as a table")
        assert page.locator(".closeup td").first.is_visible()
        page.goto(address + "/compare?answer=1")
        page.fill("#other", BOB)
        page.click("button")
        assert page.locator("section h2 a").count() == 2


def test_an_export_opens_from_the_disk(page: Page, explored: UserSimulator, tmp_path: Path) -> None:
    """Styles and script work from files, links lead to files, and nothing of the corpus runs."""
    from usersim.explorer import export_run

    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    export_run(Explorer.of(explored), tmp_path / "out", run=RUN, measure=True)
    page.goto((tmp_path / "out" / "index.html").as_uri())
    border = page.locator(".card").first.evaluate("(one) => getComputedStyle(one).borderStyle")
    assert border == "solid"
    page.click("text=Row 1")
    page.locator(".token[role=option]").first.focus()
    assert "nats; p " in page.locator("[data-readout]").first.inner_text()
    assert page.evaluate("window.hit") is None
    assert said == []
    assert all(one.startswith("file://") for one in asked)


@pytest.mark.slow
def test_an_auditor_of_accessibility_finds_nothing(
    page: Page, address: str, paths: dict[str, str]
) -> None:
    """axe-core, where it is installed, has no complaint about any page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    for name, path in paths.items():
        page.goto(address + path)
        found = axe.Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], name
