"""The explorer over HTTP: who may come in, what an address may ask, and what an export holds."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.fixtures.explored import ADA, BOB, PAYLOADS, RUN, served
from tests.fixtures.people import engine
from tests.fixtures.runs import PEOPLE, fill, simulator
from usersim import UserSimulator
from usersim.corpus import Response
from usersim.errors import ConfigError, CorpusError
from usersim.explorer.closeups import Explorer

pytest.importorskip("fastapi", reason="the explorer needs the extra `server`")

from usersim.explorer import ServedExplorer, explorer_app, explorer_router, export_run
from usersim.explorer.guard import ExplorerGuard


def get(url: str, path: str, **heads: str) -> tuple[int, dict[str, str], str]:
    """Ask for an address; return status, headers and text."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=120)
    names = {name.replace("_", "-"): value for name, value in heads.items()}
    connection.request("GET", path, headers=names)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, text


def test_every_reply_forbids_foreign_content(address: str) -> None:
    """Pages, files and errors carry the policy without an exception for inline code."""
    for path in ("/", "/static/explore.css", "/static/none", "/nowhere", "/run?name=x"):
        _, heads, _ = get(address, path)
        policy = heads["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert heads["x-content-type-options"] == "nosniff"
        assert heads["cache-control"] == "no-store"
        assert heads["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "no page at this address"),
        ("/person?user=nobody", 404, "no user"),
        ("/person", 400, "no valid &#39;user&#39;"),
        ("/person?user=a%00b", 400, "no valid &#39;user&#39;"),
        ("/answer?id=x", 400, "not a valid row number"),
        ("/answer?id=-1", 400, "not a valid row number"),
        ("/answer?id=٣", 400, "not a valid row number"),
        ("/answer?id=99999999999999999999999", 400, "not a valid row number"),
        ("/answer?id=9999999999999999999", 404, "no answer"),
        ("/run?name=%3Cscript%3E", 404, "&lt;script&gt;"),
        ("/trace?key=%25%27--", 404, "not a valid key"),
        ("/trace?key=abc", 404, "no candidate"),
        ("/interaction?key=zz", 404, "no interaction"),
        ("/compare", 400, "nothing to compare"),
        ("/static/..%2Fdrawing.py", 404, ""),
        ("/people?q=%FF%FE", 200, "No user id holds"),
    ],
)
def test_an_address_that_cannot_be_is_a_page_that_says_so(
    address: str, path: str, status: int, said: str
) -> None:
    """Whatever is asked, there is a page with a status, a reason and no traceback."""
    got, _, text = get(address, quote(path, safe="/?=&%"))
    assert got == status
    assert said in text
    assert "Traceback" not in text


def test_a_name_that_is_not_loopback_is_turned_away(address: str) -> None:
    """A site that points its own name here reads nothing."""
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", ""):
        status, _, text = get(address, "/", Host=host)
        assert status == 421
        assert "What this store holds" not in text
    for host in ("localhost", "127.0.0.1:9", "[::1]:8000", "LOCALHOST:1"):
        assert get(address, "/", Host=host)[0] == 200


def test_another_site_cannot_have_something_measured(address: str) -> None:
    """A picture with our address on a foreign page costs no computation."""
    path = "/answer?id=1&measure=1"
    assert get(address, path, Sec_Fetch_Site="cross-site")[0] == 400
    status, _, text = get(address, path, Sec_Fetch_Site="same-origin")
    assert status == 200
    assert "token by token" in text


def test_other_addresses_need_a_key(explored: UserSimulator) -> None:
    """Nothing is served to other machines without one."""
    with pytest.raises(ConfigError, match=r"'0\.0\.0\.0'") as caught:
        explorer_app(Explorer.of(explored), host="0.0.0.0")
    assert "USERSIM_API_KEY" in caught.value.hint
    assert isinstance(explorer_app(Explorer.of(explored), host="0.0.0.0", key="k"), ExplorerGuard)


@pytest.fixture(scope="module")
def locked(explored: UserSimulator) -> Iterator[str]:
    """An explorer with a key."""
    with served(Explorer.of(explored), key="s3cret") as url:
        yield url


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Bearer wrong", 401),
        ("Bearer s3cret", 200),
        ("Basic " + base64.b64encode(b"me:s3cret").decode(), 200),
        ("Basic " + base64.b64encode(b"s3cret").decode(), 401),
        ("Basic %%%", 401),
        ("Digest s3cret", 401),
    ],
)
def test_the_key_opens_and_nothing_else(locked: str, header: str, status: int) -> None:
    """A bearer token or a browser's password box; a wrong or missing one is asked for again."""
    got, heads, _ = get(locked, "/people", Authorization=header)
    assert got == status
    assert ("www-authenticate" in heads) == (status == 401)


def test_a_taken_port_says_so(explored: UserSimulator, address: str) -> None:
    """The message names the port and the way out."""
    port = int(address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"cannot listen on '127.0.0.1', port {port}"):
        ServedExplorer(Explorer.of(explored), host="127.0.0.1", port=port, key=None)


def test_without_an_engine_pages_say_so(explored: UserSimulator) -> None:
    """Nothing is offered that cannot be done; asked for all the same, the page says why."""
    with served(Explorer.of(explored, measures=False)) as url:
        assert "No engine is loaded" in get(url, "/")[2]
        text = get(url, "/answer?id=1")[2]
        assert "Measure it" not in text
        assert "without an engine" in get(url, "/answer?id=1&measure=1")[2]


def test_the_routes_stand_under_a_prefix_of_another_application(explored: UserSimulator) -> None:
    """Mounted under a prefix, every link and file carries it and leads somewhere."""
    from fastapi import FastAPI

    app = FastAPI()
    app.include_router(explorer_router(Explorer.of(explored), prefix="/explore"))
    page = _body(app, "/explore/", 200)
    addresses = set(re.findall(r'(?:href|src|action)="([^"#]+)', page))
    assert len(addresses) > 4
    assert all(one.startswith("/explore/") for one in addresses)
    for one in addresses:
        _body(app, one.replace("&amp;", "&"), 200)
    _body(app, "/people", 404)


def _body(app: Any, path: str, status: int) -> str:
    """Ask an application without a server."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    place = urlsplit(path)
    scope = {
        "type": "http",
        "method": "GET",
        "path": place.path,
        "raw_path": place.path.encode(),
        "query_string": place.query.encode(),
        "headers": [],
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == status, path
    return b"".join(one.get("body", b"") for one in sent[1:]).decode()


def test_a_long_run_is_paged(tmp_path: Path) -> None:
    """Fifty to a page; the links lead through all of them and back."""
    store = tmp_path / "p.db"
    fill(store)
    with simulator(store, engine(reasoning="It is tea.")) as sim:
        run = sim.run([(PEOPLE[i % 4], f"Question {i}?") for i in range(120)], name="long")
        with served(Explorer.of(sim)) as url:
            path, seen = "/run?name=long", []
            while path:
                text = get(url, path)[2]
                seen += [int(n) for n in re.findall(r">Row (\d+)</a>", text)]
                found = re.search(r'rel="next" href="([^"]*)"', text)
                path = found[1].replace("&amp;", "&") if found else ""
            assert seen == list(range(1, 121))
            assert 'rel="prev"' in text
        done = export_run(Explorer.of(sim), tmp_path / "out")
    assert (done.pages, done.answers, done.run) == (3, 120, run.name)
    for number in (1, 2, 3):
        name = "index.html" if number == 1 else f"page-{number}.html"
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        for link in re.findall(r'href="([^"#]*)"', text):
            assert (tmp_path / "out" / link).is_file(), link


def test_an_export_is_whole_marked_and_replaced_only_by_another(
    explored: UserSimulator, tmp_path: Path
) -> None:
    """Every page says that it is simulated, no name comes from the corpus, and nothing is lost."""
    target = tmp_path / "out"
    explorer = Explorer.of(explored)
    for measure in (False, True):
        export_run(explorer, target, run=RUN, measure=measure)
        pages = sorted(target.glob("*.html"))
        assert [page.name for page in pages] == [
            "answer-1.html",
            "answer-2.html",
            "answer-3.html",
            "index.html",
        ]
        for page in pages:
            text = page.read_text(encoding="utf-8")
            assert "<strong>simulated</strong>" in text
            assert not any(payload in text for payload in PAYLOADS[:4])
        assert ("token by token" in pages[0].read_text(encoding="utf-8")) is measure
    told = json.loads((target / "usersim-export.json").read_bytes())
    assert (told["run"], told["simulated"], told["answers"]) == (RUN, True, 3)
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_an_export_goes_over_nothing_else(explored: UserSimulator, tmp_path: Path) -> None:
    """A folder with other files, a file, and a link stay as they are; runs must be known."""
    explorer = Explorer.of(explored)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for name in ("mine", "mine/thesis.txt", "link"):
        with pytest.raises(ConfigError, match="not an earlier export"):
            export_run(explorer, tmp_path / name)
    with pytest.raises(ConfigError, match="'other'"):
        export_run(explorer, tmp_path / "new", run="other")
    with pytest.raises(CorpusError, match="cannot be written"):
        export_run(explorer, tmp_path / "mine/thesis.txt/new")
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "keep"


def test_a_run_shows_what_failed_and_why(address: str) -> None:
    """A failed item has its error and the text that could not be used, escaped."""
    text = get(address, f"/run?name={quote(RUN, safe='')}")[2]
    assert "3 done, 1 failed, 0 left of 4" in text
    assert "✗ failed" in text
    assert "The raw draw" in text
    assert "no end and no full stop &#39;&gt;&lt;svg onload" in text


def test_answers_come_newest_first_with_the_adapter_that_gave_them(tmp_path: Path) -> None:
    """Each card names its adapter, the base model, and an answer without readable reasoning."""
    store = tmp_path / "p.db"
    fill(store)
    bad = engine(
        reasoning=lambda r, i: "\n</think>" if "Last" in str(r.prompt) else "So.\n</think>"
    )
    with simulator(store, bad, user_id="ada") as sim:
        first = sim.respond("First?")
        trained = replace(first, trace=replace(first.trace, adapter="ada-recon-1a2b"))
        sim.corpus.ledger.put_responses(
            [Response(user_id="ada", question_key="k", record=trained.to_dict())]
        )
        sim.respond("Last?", options=["yes", "no"])
        with served(Explorer.of(sim)) as url:
            text = get(url, "/answers?user=ada")[2]
            last = get(url, "/answer?id=3")[2]
    cards = text.split('<li class="card">')[1:]
    assert [re.search(r">Answer (\d+)<", card)[1] for card in cards] == ["3", "2", "1"]
    assert "adapter <bdi>ada-recon-1a2b</bdi>" in cards[1]
    assert "base model" in cards[2]
    assert ["no readable reasoning" in card for card in cards] == [True, False, False]
    assert "readable, so the question was answered without reasoning" in last
    assert "What the answer was pooled from" in last
    assert "the reasoning was not used" in last
    assert re.search(r'<th scope="row">no reasoning</th><td class="num">\d', last)
    assert "how much each bears on the question" in last


def test_what_was_not_simulated_is_told_apart(address: str) -> None:
    """What a person did is marked as observed, what a model wrote as simulated."""
    observed = get(address, f"/person?user={quote(ADA, safe='')}")[2]
    assert ">observed<" in observed
    answer = get(address, "/answer?id=1")[2]
    assert ">simulated<" in answer
    assert "account, not the person’s thought" in answer
    both = get(address, f"/compare?answer=1&other={quote(BOB, safe='')}")[2]
    assert both.count('class="tag obs"') == both.count('class="tag sim"') == 2


def test_a_trace_by_a_synthesizer_names_it(tmp_path: Path) -> None:
    """Traces that the base model and a synthesizer drew stand on one page and look alike."""
    store = tmp_path / "people.db"
    fill(store)
    with simulator(store) as sim:
        key = sim.reconstruct().interactions[0].key
    with sqlite3.connect(store) as database:
        database.execute("UPDATE candidates SET adapter = 'writer-1' WHERE draw = 0")
    with simulator(store) as sim, served(Explorer.of(sim)) as address:
        _, _, page = get(address, f"/interaction?key={key}")
    assert "by writer-1</span>" in page
    assert "by a synthesizer" in page
    assert page.count("by writer-1</span>") < page.count('<li class="card')
