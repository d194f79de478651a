"""The remote engine against a scripted server: every fault that a network and a server have."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from usersim.config import RemoteConfig
from usersim.engines.base import AdapterRef, Draw, GenerateRequest, ScoreRequest
from usersim.engines.remote import http as remote_http
from usersim.engines.remote.engine import RemoteEngine
from usersim.errors import (
    AdapterLoadError,
    CapabilityError,
    ConfigError,
    EngineAccessError,
    EngineError,
    EngineResponseError,
    EngineTimeoutError,
    EngineUnavailableError,
)

Reply = tuple[int, dict[str, str], bytes]
KEY = "s3cret-of-ada"
HANG = 60
"""Seconds after which something that never comes is given up; no test passes because of it."""


def answer(text: str | None = "Tea.", **message: object) -> Reply:
    """A chat completion."""
    choice = {"message": {"content": text, **message}, "finish_reason": "stop"}
    return 200, {}, json.dumps({"choices": [choice]}).encode()


class Scripted:
    """A server on loopback that answers as a test says.

    Attributes:
        chat: Makes the answer to a chat completion from its body and number.
        bodies: What was asked, in order.
        most: Most requests that were answered at the same time.
    """

    def __init__(self) -> None:
        self.chat: Callable[[dict, int], Reply] = lambda body, n: answer()
        self.bodies: list[dict] = []
        self.times: list[float] = []
        self.most = 0
        self._active = 0
        self._lock = threading.Lock()
        self.start(0)

    def start(self, port: int) -> None:
        """Listen; on the same port again after `stop`."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Print nothing."""

            def do_GET(self) -> None:
                self._send(200, {}, json.dumps({"data": [{"id": "m"}]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with owner._lock:
                    owner.bodies.append(body)
                    owner.times.append(time.monotonic())
                    number = len(owner.bodies)
                    owner._active += 1
                    owner.most = max(owner.most, owner._active)
                try:
                    self._send(*owner.chat(body, number))
                finally:
                    with owner._lock:
                        owner._active -= 1

            def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                promised = headers.pop("Content-Length", str(len(content)))
                for name, value in {**headers, "Content-Length": promised}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):  # a client that left
                    self.wfile.write(content)
                if promised != str(len(content)):
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that serves the model `m`."""
    made = Scripted()
    yield made
    made.stop()


@pytest.fixture
def connect(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """Make engines on the server, probed already and with short pauses."""
    monkeypatch.setattr(remote_http, "LONGEST_WAIT", 0.02)
    monkeypatch.setenv("USERSIM_API_KEY", KEY)
    made: list[RemoteEngine] = []

    def engine(**settings: object) -> RemoteEngine:
        config = RemoteConfig(base_url=f"http://127.0.0.1:{server.port}/v1", **settings)
        made.append(RemoteEngine("m", config))
        assert made[-1].capabilities.streaming
        server.bodies.clear()
        server.times.clear()
        server.most = 0
        return made[-1]

    yield engine
    for one in made:
        one.close()


def ask(text: str = "Tea or coffee?", **settings: object) -> GenerateRequest:
    """One request."""
    return GenerateRequest(prompt=(("user", text),), max_tokens=8, **settings)


# ---------------------------------------------------------------------- what may pass


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 507, 524])
def test_what_may_pass_is_tried_again(server: Scripted, connect: Callable, status: int) -> None:
    """A storm of refusals ends with every answer at its place, none lost and none twice."""
    engine = connect()
    refused: set[str] = set()

    def storm(body: dict, n: int) -> Reply:
        asked = body["messages"][0]["content"]
        if asked not in refused:
            refused.add(asked)
            return status, {}, b"busy"
        return answer(f"about {asked}")

    server.chat = storm
    draws = engine.generate([ask(f"{n}") for n in range(12)])
    assert [own[0].text for own in draws] == [f"about {n}" for n in range(12)]
    assert len(server.bodies) == 24


def test_retry_after_is_honored(server: Scripted, connect: Callable) -> None:
    """A server that names a pause is left alone for so long."""
    engine = connect()
    server.chat = lambda body, n: (429, {"Retry-After": "0.3"}, b"") if n == 1 else answer()
    engine.generate([ask()])
    assert server.times[1] - server.times[0] >= 0.3


def test_a_pause_beyond_the_deadline_is_not_begun(server: Scripted, connect: Callable) -> None:
    """A server that asks for a longer pause than there is time is told of at once, as it said."""
    engine = connect(deadline=5_000)
    server.chat = lambda body, n: (429, {"Retry-After": "60000"}, b"come back later")
    failed: list[EngineError] = []

    def call() -> None:
        try:
            engine.generate([ask()])
        except EngineError as error:
            failed.append(error)

    # Whoever waited, for the deadline or as the server says, would wait for hours.
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(HANG)
    assert "status 429: come back later" in str(failed[0])
    assert len(server.bodies) == 1


def test_the_tries_are_told(server: Scripted, connect: Callable) -> None:
    """What failed for good says how often it was tried."""
    engine = connect(tries=3)
    server.chat = lambda body, n: (502, {}, b"no replica")
    with pytest.raises(EngineUnavailableError, match=r"no replica \(tried 3 times\)"):
        engine.generate([ask()])
    assert len(server.bodies) == 3


def test_truncated_json_is_tried_again(server: Scripted, connect: Callable) -> None:
    """Half an answer, an answer that breaks off, and one of the wrong shape are no answers."""
    engine = connect()
    whole = answer()[2]
    replies = [
        (200, {}, whole[:20]),
        (200, {"Content-Length": str(len(whole) + 50)}, whole),
        (200, {}, b"[1, 2]"),
    ]
    server.chat = lambda body, n: replies[n - 1] if n <= len(replies) else answer("at last")
    assert engine.generate([ask()])[0][0].text == "at last"


def test_a_shape_without_choices_is_told(server: Scripted, connect: Callable) -> None:
    """JSON that holds no answer is an error that shows it, not an empty text."""
    engine = connect(tries=2)
    server.chat = lambda body, n: (200, {}, b'{"odd": 1}')
    with pytest.raises(EngineResponseError, match=r"'choices'.*odd"):
        engine.generate([ask()])


def test_a_server_that_comes_back_is_used_again(server: Scripted, connect: Callable) -> None:
    """Killed in the middle of a batch and started again, a server costs tries and no answer."""
    engine = connect(tries=1_000_000)
    stopped = threading.Event()

    def dying(body: dict, n: int) -> Reply:
        if n == 3:
            threading.Thread(target=restart).start()
            assert stopped.wait(HANG)
        return answer(body["messages"][0]["content"])

    def restart() -> None:
        server.stop()
        stopped.set()
        time.sleep(0.2)  # meanwhile tries are refused
        server.chat = lambda body, n: answer(body["messages"][0]["content"])
        server.start(server.port)

    server.chat = dying
    draws = engine.generate([ask(f"{n}") for n in range(20)])
    assert [own[0].text for own in draws] == [str(n) for n in range(20)]


def test_overload_lowers_the_concurrency(server: Scripted, connect: Callable) -> None:
    """Under 429 fewer requests may be under way, and more again once they are answered."""
    engine = connect(concurrency=16, tries=50)
    limits: list[float] = []

    def crowded(body: dict, n: int) -> Reply:
        limits.append(engine._http.limiter.limit)
        return (429, {}, b"") if n <= 20 else answer()

    server.chat = crowded
    engine.generate([ask(f"{n}") for n in range(40)])
    assert limits[0] == 16
    assert min(limits) <= 8
    low = engine._http.limiter.limit
    engine.generate([ask(f"{n}") for n in range(60)])
    assert min(limits) < low < engine._http.limiter.limit <= 16


# ---------------------------------------------------------------------- what does not pass


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422, 501])
def test_what_does_not_pass_is_asked_once(
    server: Scripted, connect: Callable, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal that would come again is told at once, without the key."""
    caplog.set_level(logging.DEBUG)
    engine = connect()
    server.chat = lambda body, n: (status, {}, b"that will not do")
    with pytest.raises(EngineError, match=f"status {status}: that will not do") as caught:
        engine.generate([ask()])
    assert len(server.bodies) == 1
    assert not caught.value.retryable
    told = f"{caught.value!r} {caught.value.hint} {caplog.text} {engine.identity} {engine!r}"
    assert KEY not in told
    assert ("USERSIM_API_KEY" in caught.value.hint) == (status in {401, 403})


def test_a_slow_server_meets_the_deadline(server: Scripted, connect: Callable) -> None:
    """A server that does not answer is left at the deadline, all tries together."""
    once, often = connect(timeout=30, deadline=0.3), connect(timeout=0.3, deadline=0.5)
    gate = threading.Event()
    server.chat = lambda body, n: (gate.wait(HANG), answer())[1]
    with pytest.raises(EngineTimeoutError, match=r"timed out after 0\.3 s\b"):
        once.generate([ask()])
    server.bodies.clear()
    with pytest.raises(EngineTimeoutError, match="timed out after"):
        often.generate([ask()])
    gate.set()
    assert len(server.bodies) <= 2  # a third try would begin after the deadline


def test_nobody_there() -> None:
    """A refused connection names the address and the command that starts a server."""
    with socket.socket() as kept:  # bound, so that nobody else gets it, and never listened on
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        config = RemoteConfig(base_url=f"http://127.0.0.1:{port}/v1", tries=1)
        refusal = pytest.raises(EngineUnavailableError, match=f"127.0.0.1:{port}")
        with RemoteEngine("m", config) as engine, refusal as caught:
            engine.generate([ask()])
    assert "serve-engine" in caught.value.hint


def test_an_unknown_model_names_those_there_are(server: Scripted) -> None:
    """A model that is not served is refused before anything is asked of it."""
    config = RemoteConfig(base_url=f"http://127.0.0.1:{server.port}/v1")
    refusal = pytest.raises(EngineError, match=r"'n'.*\['m'\]")
    with RemoteEngine("n", config) as engine, refusal:
        engine.generate([ask()])
    assert server.bodies == []


# ---------------------------------------------------------------------- capabilities


def test_what_a_server_lacks_is_absent(server: Scripted, connect: Callable) -> None:
    """A plain chat server neither scores nor keeps patterns nor adapters, and what asks says so."""
    engine = connect()
    found = engine.capabilities
    assert (found.logprobs, found.structured, found.adapters, found.seeds) == (
        False,
        False,
        False,
        "none",
    )
    with pytest.raises(CapabilityError, match="scoring given text needs"):
        engine.score([ScoreRequest(prompt=(("user", "Tea?"),), continuation="Yes.")])
    with pytest.raises(CapabilityError, match=r"'\[0-9\]'"):
        engine.generate([ask(pattern="[0-9]")])
    with pytest.raises(EngineError, match="adapter 'ada-1' is not served"):
        engine.generate([ask(adapter=AdapterRef("ada-1", "/nowhere", "1"))])
    assert server.bodies == []


def prompt_tokens(server: Scripted, *, goes_on: bool) -> None:
    """Have the server tell usage as one that goes on with a begun turn, or as one that does not."""
    spoken = server.chat

    def told(body: dict, n: int) -> Reply:
        status, headers, content = spoken(body, n)
        begun = body["messages"][-1]["role"] == "assistant"
        tokens = 9 + begun * (1 if goes_on else 6)
        usage = {"prompt_tokens": tokens, "completion_tokens": 7}
        return status, headers, json.dumps({**json.loads(content), "usage": usage}).encode()

    server.chat = told


@pytest.mark.parametrize("told", [True, False], ids=["usage", "silent"])
def test_a_server_that_starts_over_takes_no_prefix(
    server: Scripted, connect: Callable, *, told: bool
) -> None:
    """A server that opens a new turn after one that was begun is found out, whatever it says."""
    server.chat = lambda body, n: answer(" 5, 6, 7")
    if told:
        prompt_tokens(server, goes_on=False)
    engine = connect()
    with pytest.raises(CapabilityError, match="cannot continue a given text"):
        engine.generate([ask(prefix="<think>\n")])
    assert engine.generate([ask()])[0][0].text == " 5, 6, 7"


OPENED, CLOSED = "<think>\n", "<think>\nIt rains.\n</think>\n\n"


@pytest.mark.parametrize(
    ("prefix", "message", "text"),
    [
        (OPENED, {"reasoning": "It rains.\n"}, "It rains.\n"),
        (OPENED, {"reasoning": "It rains.", "content": "Tea."}, "It rains.\n</think>\n\nTea."),
        (CLOSED, {"content": "Tea."}, "Tea."),
        (CLOSED, {"reasoning": "Tea."}, "Tea."),
        ("", {"reasoning": "\nIt rains.\n", "content": "\n\nTea."}, f"{CLOSED}Tea."),
    ],
    ids=["opened", "opened and closed", "closed", "action called reasoning", "with line breaks"],
)
def test_split_off_reasoning_continues_the_prefix(
    server: Scripted, connect: Callable, prefix: str, message: dict, text: str
) -> None:
    """A draw never repeats the tag that its prefix opened, streamed or whole."""
    server.chat = lambda body, n: answer()
    prompt_tokens(server, goes_on=True)
    engine = connect()
    server.chat = lambda body, n: (
        events(*({name: value} for name, value in message.items()))
        if body.get("stream")
        else answer(message.get("content"), **message)
    )
    asked = ask(prefix=prefix)
    assert engine.generate([asked])[0][0].text == text
    assert "".join(engine.stream(asked)) == text
    assert server.bodies[0]["messages"][-1]["content"] == (prefix or "Tea or coffee?")
    assert server.bodies[0].get("continue_final_message", False) == bool(prefix)


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ({"stop_reason": "</think>"}, "stop"),
        ({"matched_stop": "</think>"}, "stop"),
        ({"stop_reason": None}, "end"),
        ({"matched_stop": 2}, "end"),
        ({}, "stop"),
        ({"finish_reason": "length"}, "length"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_is_told_from_the_end(
    server: Scripted, connect: Callable, told: dict, finish: str, *, stream: bool
) -> None:
    """Servers tell in two ways that a stop string ended a draw; one that is silent is believed."""
    engine = connect()
    last = {"delta": {}, "finish_reason": "stop", **told}
    half = {"delta": {"content": "It rains."}, "finish_reason": None}
    lines = "".join(f"data: {json.dumps({'choices': [one]})}\n\n" for one in (half, last))
    whole = {"message": {"content": "It rains."}, "finish_reason": "stop", **told}
    server.chat = lambda body, n: (
        (200, {}, lines.encode())
        if stream
        else (200, {}, json.dumps({"choices": [whole]}).encode())
    )
    asked = ask(stop=("</think>",))
    draw = streamed(engine, asked) if stream else engine.generate([asked])[0][0]
    assert (draw.text, draw.finish) == ("It rains.", finish)


def streamed(engine: RemoteEngine, asked: GenerateRequest) -> Draw:
    """The draw that a stream returns."""
    stream = engine.stream(asked)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            return end.value


def test_the_servers_count_of_tokens_is_taken(server: Scripted, connect: Callable) -> None:
    """A draw's length is what the server counted, whole or streamed; guessed where it did not."""
    engine = connect()
    server.chat = lambda body, n: answer("Tea.")
    assert engine.generate([ask()])[0][0].n_tokens == 1
    prompt_tokens(server, goes_on=True)
    assert engine.generate([ask()])[0][0].n_tokens == 7
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 7}}
    status, headers, content = events({"content": "Tea."}, done=False)
    server.chat = lambda body, n: (
        status,
        headers,
        content + f"data: {json.dumps(usage)}\n\n".encode(),
    )
    assert streamed(engine, ask()).n_tokens == 7
    assert server.bodies[-1]["stream_options"] == {"include_usage": True}


def test_a_damaged_adapter_is_not_sent_to_a_server(
    server: Scripted, connect: Callable, tmp_path: Path
) -> None:
    """Without a tokenizer too, a folder is checked before a server is asked to load it."""
    engine = connect(load_adapters=True)
    lost = AdapterRef("lost-1", str(tmp_path / "lost"), "1")
    with pytest.raises(AdapterLoadError, match="is not an adapter folder"):
        engine.generate([ask(adapter=lost)])
    assert server.bodies == []


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_split_off_reasoning_stays_reasoning(
    server: Scripted, connect: Callable, field: str
) -> None:
    """Both spellings of a server's reasoning field go before the action, inside the tags."""
    engine = connect()
    server.chat = lambda body, n: answer("Tea.", **{field: "It rains."})
    draw = engine.generate([ask()])[0][0]
    assert draw.text == "<think>\nIt rains.\n</think>\n\nTea."
    cut = engine.generate([ask(stop=("</think>",))])[0][0]
    assert cut.text == "<think>\nIt rains.\n"
    assert cut.finish == "stop"


# ---------------------------------------------------------------------- streams and ends


def events(*deltas: dict[str, object], finish: str | None = "stop", done: bool = True) -> Reply:
    """A streamed chat completion."""
    pieces = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    if finish:
        pieces.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    lines = [f"data: {json.dumps(piece)}\n\n" for piece in pieces]
    return (
        200,
        {"Content-Type": "text/event-stream"},
        "".join([*lines, "data: [DONE]\n\n" * done]).encode(),
    )


def test_a_stream_joins_to_the_draw(server: Scripted, connect: Callable) -> None:
    """Streamed reasoning stands in one pair of tags, as in a whole answer."""
    engine = connect()
    server.chat = lambda body, n: events(
        {"reasoning": "It "}, {"reasoning": "rains."}, {"content": "Te"}, {"content": "a."}
    )
    assert "".join(engine.stream(ask())) == "<think>\nIt rains.\n</think>\n\nTea."


@pytest.mark.parametrize(
    "reply",
    [
        events({"content": "Half"}, finish=None, done=False),
        events(finish=None, done=False),
        (200, {}, b'data: {"error": {"message": "out of memory"}}\n\n'),
        events({"content": "Half"}, finish="abort"),
    ],
    ids=["cut", "empty", "error", "abort"],
)
def test_a_stream_that_breaks_off_is_no_answer(
    server: Scripted, connect: Callable, reply: Reply
) -> None:
    """Without its end a stream is an error, whatever came before."""
    engine = connect()
    server.chat = lambda body, n: reply
    with pytest.raises(EngineError):
        list(engine.stream(ask()))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("status", [200, 400])
def test_an_endless_reply_is_given_up_at_once(
    server: Scripted, connect: Callable, status: int, packed: bool
) -> None:
    """Whole or streamed, packed or not, a success or a refusal: no more than the limit is kept."""
    engine = connect(max_reply_bytes=10_000)
    endless = b'{"choices": ["' + b"x" * 5_000_000
    headers = {"Content-Encoding": "gzip"} if packed else {}
    content = gzip.compress(endless) if packed else endless
    server.chat = lambda body, n: (status, dict(headers), content)
    with pytest.raises(EngineError, match="longer than 10000 bytes"):
        engine.generate([ask()])
    with pytest.raises(EngineError, match="longer than 10000 bytes"):
        list(engine.stream(ask()))
    assert len(server.bodies) == 2, "asked once each"


def test_a_reply_that_is_nested_without_end_is_a_typed_error(
    server: Scripted, connect: Callable
) -> None:
    """Python's parser gives up on it, and so do we."""
    engine = connect(tries=1)
    server.chat = lambda body, n: (200, {}, b"[" * 100_000)
    with pytest.raises(EngineResponseError, match="is not JSON"):
        engine.generate([ask()])


def test_a_draw_that_was_given_up_is_no_answer(server: Scripted, connect: Callable) -> None:
    """A server that aborts a draw has not answered."""
    engine = connect()
    whole = json.loads(answer("Half")[2])
    whole["choices"][0]["finish_reason"] = "abort"
    server.chat = lambda body, n: (200, {}, json.dumps(whole).encode())
    with pytest.raises(EngineError, match="'abort'"):
        engine.generate([ask()])


def test_the_key_is_not_repeated(server: Scripted, connect: Callable) -> None:
    """A server that echoes the key in its refusal does not bring it into the error."""
    engine = connect()
    server.chat = lambda body, n: (401, {}, f"Bearer {KEY} is unknown".encode())
    with pytest.raises(EngineError, match=r"Bearer \*\*\* is unknown") as caught:
        engine.generate([ask()])
    assert KEY not in str(caught.value)


def test_waiting_for_a_turn_is_not_lateness(server: Scripted, connect: Callable) -> None:
    """Who waits far longer for a turn than the deadline allows is answered, and tried again."""
    engine = connect(concurrency=1, timeout=400, deadline=400)
    transport, passed = engine._http, [0.0]
    clock, turn = transport._loop.time, transport.limiter.turn
    transport._loop.time = lambda: clock() + passed[0]

    @asynccontextmanager
    async def after_long() -> AsyncGenerator[int]:
        async with turn() as given:
            passed[0] += 1_000
            yield given

    transport.limiter.turn = after_long
    server.chat = lambda body, n: answer() if n % 2 == 0 else (502, {}, b"no replica")
    assert len(engine.generate([ask(f"{n}") for n in range(5)])) == 5
    assert passed[0] == 10_000


def test_progress_is_told_in_the_callers_thread(server: Scripted, connect: Callable) -> None:
    """What progress does, and what it raises, happens where the call was made."""
    engine = connect()
    seen: list[str] = []
    engine.generate(
        [ask("1"), ask("2")], progress=lambda *_: seen.append(threading.current_thread().name)
    )
    assert seen == [threading.current_thread().name] * 2

    def stop(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate([ask("1"), ask("2")], progress=stop)


def test_closing_ends_a_call_in_another_thread(server: Scripted, connect: Callable) -> None:
    """A call that is under way when its engine is closed fails and does not wait for ever."""
    engine = connect()
    asked, gate = threading.Event(), threading.Event()
    server.chat = lambda body, n: (asked.set(), gate.wait(HANG), answer())[2]
    failed: list[BaseException] = []

    def call() -> None:
        try:
            engine.generate([ask()])
        except EngineError as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(HANG)
    engine.close()
    thread.join(timeout=HANG / 2)
    assert not thread.is_alive()
    gate.set()
    assert "closed" in str(failed[0])


@pytest.mark.parametrize("who", ["ada:secret", "secret"])
def test_a_secret_in_the_address_is_refused(who: str) -> None:
    """An address would stand in logs and errors: no secret may be in it."""
    with pytest.raises(ConfigError, match="contains a user name or password") as caught:
        RemoteEngine("m", RemoteConfig(base_url=f"http://{who}@127.0.0.1:1/v1"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8000/v1", "http://", "http://[/v1", "http://h:port/v1", "http://h:99999/v1",
        "http://h:0/v1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    """An address without scheme or host is a wrong setting, not a server that is down."""
    with pytest.raises(ConfigError, match="base_url"):
        RemoteEngine("m", RemoteConfig(base_url=address))


def test_a_line_break_behind_the_key_is_no_part_of_it(
    server: Scripted, connect: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that came from a file with its line break is sent without it."""
    engine = connect()
    monkeypatch.setenv("USERSIM_API_KEY", f"{KEY}\r\n")
    with RemoteEngine("m", engine._config) as other:
        assert other.generate([ask()])[0][0].text == "Tea."
        assert other._http._client.headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", [f"{KEY}\n{KEY}", f"{KEY}é"])
def test_a_key_that_no_header_carries_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A broken key is a wrong setting; the error names the variable and not the key."""
    monkeypatch.setenv("USERSIM_API_KEY", key)
    with pytest.raises(ConfigError, match="the key in USERSIM_API_KEY contains") as caught:
        RemoteEngine("m", RemoteConfig())
    assert KEY not in f"{caught.value!r} {caught.value.hint}"


def test_a_moved_server_is_named(server: Scripted, connect: Callable) -> None:
    """A redirect is not followed, since a key would go along; the new address is told."""
    engine = connect()
    server.chat = lambda body, n: (308, {"Location": "https://new.example/v1"}, b"")
    with pytest.raises(EngineError, match="status 308") as caught:
        engine.generate([ask()])
    assert "https://new.example/v1" in caught.value.hint


def test_a_locked_door_is_not_taken_for_a_lack(server: Scripted) -> None:
    """A server that wants a key for answers only is not one that cannot keep patterns."""
    server.chat = lambda body, n: (401, {}, b"who are you")
    config = RemoteConfig(base_url=f"http://127.0.0.1:{server.port}/v1")
    with RemoteEngine("m", config) as engine, pytest.raises(EngineAccessError, match="who are"):
        engine.generate([ask(pattern="[0-9]")])


def test_two_copies_of_a_model_have_one_identity(
    server: Scripted, tiny_model: Path, tmp_path: Path
) -> None:
    """Clients on two machines share a run: when a copy was made does not matter."""

    def identity(folder: Path) -> str:
        config = RemoteConfig(base_url=f"http://127.0.0.1:{server.port}/v1", tokenizer=str(folder))
        with RemoteEngine("m", config) as engine:
            return engine.identity

    usual = {"text": "usersim1", "finish_reason": "stop"}
    server.chat = lambda body, n: (200, {}, json.dumps({"choices": [usual]}).encode())
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy, copy_function=shutil.copyfile)
    assert identity(copy) == identity(tiny_model)
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'] }}", "utf-8")
    assert identity(copy) != identity(tiny_model)
