"""What goes wrong on a wire or behind it: each has OpenAI's error object, and the server lives."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.fixtures.endpoint import ask, chat, echoing, served, who
from tests.fixtures.people import engine, is_reasoning
from usersim import ServerConfig, UserSimulator
from usersim.engines import GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import ConfigError, EngineUnavailableError
from usersim.server import create_app

KEY = "a-secret-of-the-tests"


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """A bare connection to a server."""
    at = urlsplit(url)
    with socket.create_connection((at.hostname, at.port), timeout=60) as wire:
        yield wire


def head(length: int, path: str = "/v1/chat/completions") -> bytes:
    """The head of a request with a body of `length` bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


def rest(wire: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    read = b""
    while part := wire.recv(65_536):
        read += part
    return read


def well(url: str) -> bool:
    """Whether a server still answers as it should."""
    reply = ask(f"{url}/chat/completions", chat("Still there, number 9?", "user:bo"))
    return reply.json["choices"][0]["message"]["content"] == "bo heard 9"


def until(condition, seconds: float = 60) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def figure(url: str, name: str) -> float:
    """A figure of the server's metrics; 0 before it was ever counted."""
    page = ask(url.removesuffix("/v1") + "/metrics").body.decode()
    found = [line for line in page.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].split()[-1]) if found else 0.0


# ---------------------------------------------------------------------- requests that are none


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A server that is asked what it should not be asked."""
    with served(max_body_bytes=20_000, body_seconds=0.3) as url:
        yield url


DIGITS = b"1" + b"0" * 4199


def enumerated(*values: object) -> dict[str, object]:
    """A response format that asks for one of `values`."""
    schema = {"type": "integer", "enum": [1, *values]}
    return {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    }


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", "1"),
        (b"", 400, "invalid_value", None),
        (b"\xff\xfe", 400, None, None),
        (b'"text"', 400, "invalid_value", None),
        (b'{"model": "user:ada"}', 400, "invalid_value", "messages"),
        (json.dumps(chat(top_k=1)).encode(), 400, "unsupported_parameter", "top_k"),
        (json.dumps(chat("\ud800")).encode(), 400, "invalid_text", None),
        (json.dumps(chat(model="user:nobody")).encode(), 404, "model_not_found", "model"),
        (json.dumps(chat(model="gpt-5")).encode(), 404, "model_not_found", "model"),
        (b"[" * 15_000, 400, None, None),
        (json.dumps(chat(seed=10**4199)).encode(), 400, None, "seed"),
        (
            json.dumps(chat(seed="DIGITS")).encode().replace(b'"DIGITS"', b"9" * 6_000),
            400,
            None,
            None,
        ),
        (
            json.dumps(chat(**enumerated("DIGITS"))).encode().replace(b'"DIGITS"', DIGITS),
            400,
            "unsupported_schema",
            "response_format",
        ),
    ],
)
def test_what_is_no_request_is_told_as_one_of_openais_errors(
    base_url: str, body: bytes, status: int, code: str | None, param: str | None
) -> None:
    """Malformed JSON, missing fields and unknown people have a status, a code and a place."""
    reply = ask(f"{base_url}/chat/completions", body)
    assert reply.status == status
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert reply.error["type"] == "invalid_request_error"
    if code is not None:
        assert (reply.error["code"], reply.error["param"]) == (code, param)
    assert well(base_url)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
    ],
)
def test_what_a_person_has_no_use_for_is_rejected_in_words(
    base_url: str, fields: dict[str, object], param: str
) -> None:
    """The message names the field and says why, not what a validator thinks of its value."""
    reply = ask(f"{base_url}/chat/completions", chat(**fields))
    assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
    assert reply.error["param"] == param
    assert f"{param!r} is not supported: " in reply.error["message"]
    assert "Input should be" not in reply.error["message"]


def test_an_earlier_tool_call_is_rejected_in_words(base_url: str) -> None:
    """A conversation with a tool's call names the message that holds it."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = chat()
    body["messages"] = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "user", "content": "So?"},
    ]
    reply = ask(f"{base_url}/chat/completions", body)
    assert (reply.error["code"], reply.error["param"]) == (
        "unsupported_parameter",
        "messages.1.tool_calls",
    )


@pytest.mark.parametrize("path", ["responses", "completions", "audio/speech"])
def test_another_api_of_openais_is_told_what_is_served(base_url: str, path: str) -> None:
    """A client of the Responses API reads which paths there are."""
    reply = ask(f"{base_url}/{path}", {"model": "user:ada", "input": "Hi."})
    assert (reply.status, reply.error["type"]) == (404, "invalid_request_error")
    assert reply.error["code"] == "not_found"
    assert f"'POST /v1/{path}' is not served" in reply.error["message"]
    assert "POST /v1/chat/completions" in reply.error["message"]


def test_paths_and_methods_that_are_not_there(base_url: str) -> None:
    """An unknown path and a wrong method have error objects too."""
    lost = ask(f"{base_url}/embeddings", {})
    assert (lost.status, lost.error["code"]) == (404, "not_found")
    wrong = ask(f"{base_url}/chat/completions", method="GET")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")


def test_an_oversized_body_is_refused_before_and_while_it_comes(base_url: str) -> None:
    """A body that says it is too long is refused at once; one that lies, when it is too long."""
    reply = ask(f"{base_url}/chat/completions", chat("x" * 30_000))
    assert (reply.status, reply.error["code"]) == (413, "body_too_large")
    with connected(base_url) as wire:
        chunked = head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
        wire.sendall(chunked + b"".join(b"fa0\r\n" + b"x" * 4000 + b"\r\n" for _ in range(8)))
        answer = rest(wire)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"body_too_large"' in answer
    assert well(base_url)


def test_a_body_that_is_a_little_too_long_is_read_before_it_is_refused() -> None:
    """A proxy that still sends when the connection closes would answer 502 in its own name."""
    body = json.dumps(chat("x" * 30_000)).encode()
    with served(max_body_bytes=20_000) as url, connected(url) as wire:
        wire.sendall(head(len(body)) + body[:1_000])
        wire.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.recv(1)  # nothing is told while the body comes
        wire.settimeout(60)
        wire.sendall(body[1_000:])
        assert rest(wire).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_is_not_waited_for(base_url: str) -> None:
    """A client that sends nothing is told so in time."""
    with connected(base_url) as wire:
        wire.sendall(head(100) + b'{"model"')
        answer = rest(wire)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"slow_body"' in answer
    assert well(base_url)


# ---------------------------------------------------------------------- who may come in


def test_only_loopback_is_served_without_a_key() -> None:
    """Any other address needs a key, and the key must be one that a client can send."""
    with UserSimulator.from_corpus(
        [{"user_id": "ada", "context": "Tea?", "action": "Yes."}], engine=ScriptedEngine()
    ) as sim:
        with pytest.raises(ConfigError, match=r"'0\.0\.0\.0'"):
            create_app(sim, ServerConfig(host="0.0.0.0"))
        for key in ("", " x", "schlüssel"):
            with pytest.raises(ConfigError, match="the key is empty"):
                create_app(sim, key=key)


def test_a_key_is_asked_for_everywhere_but_for_health(caplog: pytest.LogCaptureFixture) -> None:
    """Without the key there is an error before anything is read; no log holds it."""
    caplog.set_level(logging.DEBUG)
    with served(key=KEY) as url:
        for headers in ({}, {"authorization": f"Bearer {KEY}x"}, {"authorization": f"Basic {KEY}"}):
            for path in ("/v1/models", "/metrics", "/openapi.json", "/nowhere"):
                reply = ask(url.removesuffix("/v1") + path, headers=headers)
                assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
                assert reply.error["type"] == "authentication_error"
        right = {"authorization": f"Bearer {KEY}"}
        assert ask(f"{url}/chat/completions", chat(), headers=right).status == 200
        assert ask(url.removesuffix("/v1") + "/health").status == 200
        assert (
            "securitySchemes"
            in ask(url.removesuffix("/v1") + "/openapi.json", headers=right).json["components"]
        )
    assert KEY not in caplog.text


def test_further_pages_stand_behind_the_same_door() -> None:
    """A router that is given asks for the key, of a browser as a password, and is counted."""
    from fastapi import APIRouter

    router = APIRouter()
    router.add_api_route("/pages/{name}", lambda name: {"page": name}, methods=["GET"])
    with served(key=KEY, routers=[router]) as url:
        page = url.removesuffix("/v1") + "/pages/ada"
        refused = ask(page)
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith(("Bearer", "Basic realm="))
        right = {"authorization": f"Bearer {KEY}"}
        assert ask(page, headers=right).json == {"page": "ada"}
        typed = base64.b64encode(f"me:{KEY}".encode()).decode()
        assert ask(page, headers={"authorization": f"Basic {typed}"}).json == {"page": "ada"}
        figures = ask(url.removesuffix("/v1") + "/metrics", headers=right).body
    assert b'usersim_requests_total{method="GET",route="/pages/{name}",status="200"} 2.0' in figures


def test_a_page_of_another_origin_gets_nothing(base_url: str) -> None:
    """Neither a name that was pointed at this machine nor a foreign page may speak with it."""
    port = urlsplit(base_url).port
    rebound = ask(f"{base_url}/models", headers={"host": f"evil.example:{port}"})
    assert (rebound.status, rebound.error["code"]) == (421, "unknown_host")
    foreign = ask(f"{base_url}/models", headers={"origin": "https://evil.example"})
    assert (foreign.status, foreign.error["code"]) == (403, "foreign_origin")
    own = ask(f"{base_url}/models", headers={"origin": f"http://127.0.0.1:{port}"})
    assert own.status == 200
    assert "access-control-allow-origin" not in own.headers
    form = ask(f"{base_url}/chat/completions", chat(), headers={"content-type": "text/plain"})
    assert form.status == 400
    assert "content-type: application/json" in form.error["message"]


def test_names_can_be_allowed() -> None:
    """Behind a proxy a server is called by another name."""
    with served(allowed_hosts=("people.example",)) as url:
        assert ask(f"{url}/models", headers={"host": "People.example:443"}).status == 200
        assert ask(f"{url}/models").status == 421


def test_the_log_and_the_figures_name_nobody(
    base_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each request, and counts: nothing of who was asked or what was said."""
    caplog.set_level(logging.DEBUG, "usersim")
    assert well(base_url)
    ask(f"{base_url}/models/user:bo")
    until(lambda: "/v1/models/{model:path} 200" in caplog.text)
    assert "POST /v1/chat/completions 200" in caplog.text
    page = ask(base_url.removesuffix("/v1") + "/metrics").body.decode()
    assert 'usersim_requests_total{method="POST",route="/v1/chat/completions"' in page
    for text in (caplog.text, page):
        assert "bo heard" not in text
        assert "user:bo" not in text


# ---------------------------------------------------------------------- clients that leave


def test_a_client_that_leaves_takes_its_waiting_request_along() -> None:
    """What still waits when its client is gone is never put to the engine."""
    gate = threading.Event()
    own = echoing(gate)
    with served(own, workers=1) as url:
        first = threading.Thread(target=ask, args=(f"{url}/chat/completions", chat()))
        first.start()
        until(lambda: own.calls > 1)  # its reasoning is drawn, its action waits for the gate
        with connected(url) as wire:
            body = json.dumps(chat("Gone, number 666?")).encode()
            wire.sendall(head(len(body)) + body)
            until(lambda: figure(url, "usersim_waiting_answers") == 1)
        until(lambda: figure(url, 'usersim_answers_total{outcome="dropped"}') == 1)
        gate.set()
        first.join(20)
        assert well(url)
    assert not any("666" in request.prompt[-1][1] for request in own.requests)


def test_an_aborted_stream_ends_its_drawing_and_nobody_elses() -> None:
    """A reader who leaves in mid-stream frees their thread; the next one gets an answer."""

    def long(request: GenerateRequest, _: int) -> str:
        return "on and on " * 60 if "endless" in request.prompt[-1][1] else _echo(request)

    with served(engine(action=long), streams=1) as url:
        for _ in range(3):
            with connected(url) as wire:
                body = json.dumps(chat("An endless one?", stream=True)).encode()
                wire.sendall(head(len(body)) + body)
                assert wire.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: figure(url, "usersim_streams") == 0)
        assert well(url)


def _echo(request: GenerateRequest) -> str:
    return f"{who(request)} heard 9"


def test_a_slow_reader_holds_up_nobody() -> None:
    """While one client leaves its stream unread, others are answered, and it is left in the end."""
    words = "word " * 200

    def wordy(request: GenerateRequest, _: int) -> str:
        return words if "wordy" in request.prompt[-1][1] else _echo(request)

    with served(engine(action=wordy), streams=1, write_seconds=0.5) as url, connected(url) as wire:
        # Small buffers on both sides: the reply does not fit into them.
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        body = json.dumps(chat("A wordy one?", stream=True)).encode()
        wire.sendall(head(len(body)) + body)
        assert well(url)
        until(lambda: figure(url, "usersim_streams") == 0)
        assert ask(f"{url}/chat/completions", chat("One more?", stream=True)).status == 200


# ---------------------------------------------------------------------- engines that die


def test_a_dead_engine_is_told_and_the_server_lives() -> None:
    """Faults of the engine are 503 with a time to come back; readiness says so, health does not."""
    down = threading.Event()

    def failing(request: GenerateRequest, _: int) -> str:
        if down.is_set():
            raise EngineUnavailableError("the engine is gone")
        return _echo(request)

    with served(engine(action=failing)) as url:
        root = url.removesuffix("/v1")
        assert well(url)
        down.set()
        for stream in (False, True):
            reply = ask(f"{url}/chat/completions", chat(stream=stream, n=2))
            assert (reply.status, reply.error["code"]) == (503, "engine_failed")
            assert reply.error["type"] == "server_error"
            assert int(reply.headers["retry-after"]) > 0
        ready = ask(f"{root}/health/ready")
        assert (ready.status, ready.json["status"]) == (503, "engine failing")
        assert ask(f"{root}/health").status == 200
        assert figure(url, "usersim_engine_faults_total") == 2
        down.clear()
        assert well(url)


def test_an_engine_that_dies_in_mid_stream_ends_the_stream_with_an_error() -> None:
    """What was sent stays, an error event follows and nothing after it."""

    def dying(request: GenerateRequest, _: int) -> str:
        if is_reasoning(request):
            return "A quiet day.\n</think>"
        if "last" in request.prompt[-1][1]:
            raise EngineUnavailableError("died between reasoning and action")
        return _echo(request)

    with served(engine(reasoning=dying, action=dying)) as url:
        reply = ask(f"{url}/chat/completions", chat("The last one?", stream=True))
        events = [line for line in reply.body.decode().split("\n\n") if line]
        assert reply.status == 200
        assert '"reasoning_content":"A"' in reply.body.decode()
        last = json.loads(events[-1].removeprefix("data: "))
        assert last["error"]["code"] == "engine_failed"
        assert b"[DONE]" not in reply.body
        assert well(url)
        openai = pytest.importorskip("openai", reason="the openai client is not installed")
        with openai.OpenAI(base_url=url, api_key="x", max_retries=0, timeout=300) as client:
            stream = client.chat.completions.create(**chat("The last one?"), stream=True)
            with pytest.raises(openai.APIError, match="died between"):
                list(stream)


def test_a_malformed_answer_is_an_error_and_never_content() -> None:
    """An action with a tag in it fails whole; a stream of it ends before the tag."""

    def tagged(request: GenerateRequest, _: int) -> str:
        if "odd" in request.prompt[-1][1]:
            return "Well <think>secret"
        return _echo(request)

    with served(engine(action=tagged)) as url:
        whole = ask(f"{url}/chat/completions", chat("An odd one?"))
        assert (whole.status, whole.error["code"]) == (502, "malformed_answer")
        streamed = ask(f"{url}/chat/completions", chat("An odd one?", stream=True)).body
        content = [
            json.loads(event[6:])["choices"][0]["delta"].get("content", "")
            for event in streamed.split(b"\n\n")
            if event.startswith(b"data: ") and b'"choices"' in event
        ]
        assert "".join(content) == "Well "
        assert b'"malformed_answer"' in streamed
        assert well(url)


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    """A request has a time, waiting included; a stream that stalls ends with an error event."""
    gate = threading.Event()
    with served(echoing(gate), request_seconds=0.3) as url:
        reply = ask(f"{url}/chat/completions", chat())
        assert (reply.status, reply.error["code"]) == (504, "timeout")
        streamed = ask(f"{url}/chat/completions", chat(stream=True)).body
        assert b'"reasoning_content"' in streamed
        assert b'"timeout"' in streamed.split(b"\n\n")[-2]
        gate.set()
        # On a busy machine the first of these may be late itself.
        until(lambda: ask(f"{url}/chat/completions", chat()).status == 200)
