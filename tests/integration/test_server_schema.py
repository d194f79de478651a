"""The endpoint keeps to its own description: requests made from it find no fault of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.fixtures.endpoint import ask, chat, served
from tests.fixtures.people import engine
from usersim.server.wire import ChatCompletion, ChatRequest, Health, ModelList

if TYPE_CHECKING:
    import schemathesis

EXAMPLES = 10


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A server with replies that fit every kind of question."""
    with served(engine(action="42"), max_body_bytes=50_000) as url:
        yield url


@pytest.mark.hypothesis
def test_requests_made_from_the_description_find_no_fault(base_url: str) -> None:
    """Every path, with valid and with broken requests: no server error, no unlisted reply."""
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    kept = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    positive, negative = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
    root = base_url.removesuffix("/v1")
    schema = schemathesis.openapi.from_url(f"{root}/openapi.json")
    tried = 0

    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(
            case=operation.as_strategy(generation_mode=positive)
            | operation.as_strategy(generation_mode=negative)
        )
        def run(case: schemathesis.Case) -> None:
            case.call_and_validate(base_url=root, checks=kept)

        run()
        tried += 1
    assert tried == 6


def test_the_description_names_what_is_taken_and_replied(base_url: str) -> None:
    """Requests and replies are described by the models that the code uses."""
    document = ask(base_url.removesuffix("/v1") + "/openapi.json").json
    chat_path = document["paths"]["/v1/chat/completions"]["post"]
    assert "422" not in json.dumps(document)
    assert set(chat_path["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    taken = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert set(taken) == set(ChatRequest.model_fields)


def test_replies_are_what_the_description_says(base_url: str) -> None:
    """Whole replies fit the models that describe them, every field."""
    for more in ({}, {"n": 2}, {"x_usersim": {"options": ["a", "b"]}, "logprobs": True}):
        reply = ask(f"{base_url}/chat/completions", chat(**more))
        assert len(ChatCompletion.model_validate_json(reply.body).choices) == more.get("n", 1)
    people = ModelList.model_validate_json(ask(f"{base_url}/models").body)
    assert people.data[0].id == "user:ada"
    assert Health.model_validate_json(ask(base_url[:-3] + "/health").body).status == "ok"
