"""Real clients against a real server: the openai package, sync, async and streaming."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from tests.fixtures.endpoint import PEOPLE, ask, chat, echoing, served
from tests.fixtures.people import engine, is_reasoning, person
from usersim import PipelineConfig, ServerConfig, SimulationConfig, UserSimulator
from usersim.server import serving

openai = pytest.importorskip("openai", reason="the openai client is not installed")

TEA = [{"role": "user", "content": "Tea, number 1?"}]
CLIENTS = 64


@pytest.fixture(scope="module")
def base_url():
    """A server that all tests of this module ask."""
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def client(base_url: str):
    """The client of everybody's choice."""
    with openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0, timeout=300) as one:
        yield one


def test_people_are_models(client) -> None:
    """Everybody in the store is listed, and found by their model id."""
    assert [model.id for model in client.models.list()] == [f"user:{name}" for name in PEOPLE]
    assert client.models.retrieve("user:bo").owned_by == "usersim"
    with pytest.raises(openai.NotFoundError, match="'nobody'"):
        client.models.retrieve("user:nobody")


def test_the_action_is_content_and_the_trace_is_reasoning(client) -> None:
    """The reply holds the action, the trace in both spellings, tokens, and that it is simulated."""
    reply = client.chat.completions.create(model="user:bo", messages=TEA, seed=7)
    (choice,) = reply.choices
    assert choice.message.content == "bo heard 1"
    assert choice.message.reasoning == choice.message.reasoning_content
    assert choice.message.reasoning == "A quiet day calls for tea."
    assert choice.finish_reason == "stop"
    assert choice.x_usersim["simulated"] is True
    assert choice.x_usersim["seed"] == 7
    usage = reply.usage
    assert usage.completion_tokens_details.reasoning_tokens == 7
    assert usage.completion_tokens == 7 + 3
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_reply_is_the_simulators_answer() -> None:
    """The endpoint answers as `UserSimulator.respond` does with the same seed."""
    own = engine(action=lambda request, index: f"{request.seed}")
    with UserSimulator.from_corpus(person("ada"), engine=own) as sim, serving(sim) as url:
        said = sim.respond("Tea, number 1?", seed=3)
        reply = ask(f"{url}/chat/completions", chat(seed=3)).json
    assert reply["choices"][0]["message"]["content"] == said.action_text


def test_several_answers_have_seeds_of_their_own() -> None:
    """The answers to one request differ, and the same seed gives the same ones."""
    with served(engine(action=lambda request, index: f"{request.seed}")) as url:
        first, again = (
            [
                one["message"]["content"]
                for one in ask(f"{url}/chat/completions", chat(n=3, seed=5)).json["choices"]
            ]
            for _ in range(2)
        )
    assert first == again
    assert len(set(first)) == 3


def test_a_live_stream_brings_reasoning_then_action(client) -> None:
    """Chunks join to the answer; the trace never stands in the content."""
    stream = client.chat.completions.create(
        model="user:ada", messages=TEA, stream=True, stream_options={"include_usage": True}
    )
    parts = {"reasoning": "", "content": ""}
    order: list[str] = []
    chunks = list(stream)
    for chunk in chunks[:-1]:
        delta = chunk.choices[0].delta
        if getattr(delta, "reasoning", None):
            assert delta.reasoning == delta.reasoning_content
            parts["reasoning"] += delta.reasoning
            order.append("reasoning")
        if delta.content:
            parts["content"] += delta.content
            order.append("content")
    assert parts == {"reasoning": "A quiet day calls for tea.", "content": "ada heard 1"}
    assert order == sorted(order, reverse=True)
    assert order.count("content") > 1
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens > 0


def test_several_answers_and_closed_questions_are_streamed_as_wholes(client) -> None:
    """A stream of what is known only at its end has the same chunks, by index."""
    stream = client.chat.completions.create(
        model="user:ada",
        messages=TEA,
        n=2,
        stream=True,
        extra_body={"x_usersim": {"options": ["tea", "coffee"]}},
    )
    said: dict[int, str] = {}
    for chunk in stream:
        for choice in chunk.choices:
            said[choice.index] = said.get(choice.index, "") + (choice.delta.content or "")
    assert said == {0: "tea", 1: "tea"}


def test_a_closed_question_is_scored(client) -> None:
    """The answer is an option, with the log-probability that the simulator gave it."""
    reply = client.chat.completions.create(
        model="user:ada",
        messages=TEA,
        logprobs=True,
        top_logprobs=2,
        extra_body={"x_usersim": {"options": ["coffee", "tea"]}},
    )
    choice = reply.choices[0]
    (entry,) = choice.logprobs.content
    assert entry.token == choice.message.content == "tea"
    told = choice.x_usersim["probabilities"]
    assert math.exp(entry.logprob) == pytest.approx(told["tea"])
    assert [top.token for top in entry.top_logprobs] == ["tea", "coffee"]
    assert sum(told.values()) == pytest.approx(1)


def test_structured_output_is_parsed_by_the_client(client) -> None:
    """A pydantic model of one enumeration comes back as an object of it."""

    class Drink(BaseModel):
        drink: Literal["coffee", "tea"]

    reply = client.chat.completions.parse(model="user:ada", messages=TEA, response_format=Drink)
    assert reply.choices[0].message.parsed == Drink(drink="tea")


def test_a_stop_string_ends_the_action(client) -> None:
    """The action ends before the first stop string, streamed or not."""
    asked = {"model": "user:ada", "messages": TEA, "stop": [" heard", "zzz"]}
    assert client.chat.completions.create(**asked).choices[0].message.content == "ada"
    chunks = client.chat.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "ada"


def test_hidden_reasoning_is_nowhere_and_is_counted() -> None:
    """With reasoning hidden no reply and no chunk holds it; the usage still counts it."""
    secret = "A quiet day calls for tea."
    with served(reasoning="hidden") as url:
        whole = ask(f"{url}/chat/completions", chat())
        streamed = ask(f"{url}/chat/completions", chat(stream=True))
    assert secret.encode() not in whole.body
    assert b"reasoning_content" not in whole.body + streamed.body
    assert b"quiet" not in streamed.body
    assert whole.json["usage"]["completion_tokens_details"]["reasoning_tokens"] == 7


def test_both_orientations_reach_the_person_alike() -> None:
    """The same talk, sent either way, makes the same prompt; the scenario stands in it."""
    own = echoing()
    flipped = [
        {"role": "system", "content": "You want a refund."},
        {"role": "user", "content": "Hello, number 1!"},
        {"role": "assistant", "content": "My order is late."},
        {"role": "user", "content": "Which order, number 2?"},
    ]
    turned = {"user": "assistant", "assistant": "user", "system": "system"}
    natural = [{**one, "role": turned[one["role"]]} for one in flipped]
    with served(own) as url:
        for body, headers in (
            (chat(messages=flipped, seed=1), {}),
            (chat(messages=natural, seed=1, x_usersim={"roles": "natural"}), {}),
            (chat(messages=natural, seed=1), {"X-Usersim-Roles": "natural"}),
        ):
            reply = ask(f"{url}/chat/completions", body, headers=headers)
            assert reply.json["choices"][0]["message"]["content"] == "ada heard 2"
    prompts = [
        one.prompt
        for one in own.requests
        if "number 2" in one.prompt[-1][1] and not is_reasoning(one)
    ]
    assert len(set(prompts)) == 1
    said = prompts[0][-1][1]
    assert "Scenario: You want a refund.\nassistant: Hello, number 1!\nMe: My order" in said


def test_a_long_conversation_is_never_cut_in_silence() -> None:
    """What a direct call would shorten is kept whole, and what cannot fit is refused."""
    own = echoing()
    middle = "word " * 3_000
    with served(own) as url:
        kept = ask(f"{url}/chat/completions", chat(f"Begin. {middle} number 5?"))
        refused = ask(f"{url}/chat/completions", chat(f"{middle * 5} number 6?"))
    assert kept.status == 200
    assert any("Begin." in one.prompt[-1][1] for one in own.requests)
    assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")


def test_64_clients_at_once_each_get_their_own_answer(base_url: str) -> None:
    """No reply is lost or mixed up, streamed or not: each names its person and its question."""

    async def one(client, number: int) -> list[str]:
        name = PEOPLE[number % len(PEOPLE)]
        heard: list[str] = []
        for turn in range(2):
            nonce = f"{number}x{turn}"
            asked = {
                "model": f"user:{name}",
                "messages": [{"role": "user", "content": f"Tea, number {nonce}?"}],
            }
            if (number + turn) % 2:
                chunks = await client.chat.completions.create(**asked, stream=True)
                text = "".join([c.choices[0].delta.content or "" async for c in chunks])
            else:
                reply = await client.chat.completions.create(**asked)
                text = reply.choices[0].message.content
            assert text == f"{name} heard {nonce}"
            heard.append(text)
        return heard

    async def all_of_them() -> list[list[str]]:
        async with openai.AsyncOpenAI(
            base_url=base_url, api_key="unused", max_retries=0, timeout=300
        ) as client:
            return await asyncio.gather(*(one(client, number) for number in range(CLIENTS)))

    heard = asyncio.run(all_of_them())
    assert len({text for texts in heard for text in texts}) == CLIENTS * 2


def test_answers_are_kept_unless_told_otherwise() -> None:
    """Answers stand in the store, marked as simulated; `keep=False` leaves no trace of them."""
    for keep, expected in ((True, 2), (False, 0)):
        with (
            UserSimulator.from_corpus(person("ada"), engine=echoing()) as sim,
            serving(sim, ServerConfig(port=0, keep=keep)) as url,
        ):
            ask(f"{url}/chat/completions", chat(n=2))
            kept = list(sim.corpus.ledger.responses("ada"))
        assert len(kept) == expected


@pytest.mark.model
@pytest.mark.slow
def test_the_embedded_model_is_served(embedded_model: Path) -> None:
    """A real model answers through the endpoint as it does directly, and streams what it thinks."""
    options = ["tea", "coffee"]
    brief = SimulationConfig(traces=1, max_reasoning_tokens=16)
    config = PipelineConfig.preset("tiny").model_copy(update={"simulation": brief})
    with (
        UserSimulator.from_corpus(person("ada"), config=config) as sim,
        serving(sim) as url,
        openai.OpenAI(base_url=url, api_key="unused", max_retries=0, timeout=300) as client,
    ):
        asked = {"model": "user:ada", "messages": TEA, "seed": 1}
        with client.chat.completions.create(**asked, stream=True) as chunks:
            live = "".join(
                getattr(next(chunks).choices[0].delta, "reasoning", "") for _ in range(4)
            )
        extension = {"x_usersim": {"options": options}}
        choice = client.chat.completions.create(**asked, extra_body=extension).choices[0]
        direct = sim.respond(TEA[0]["content"], options=options, seed=1)
    assert live
    assert choice.message.content == direct.action
    assert choice.message.reasoning == direct.reasoning
    assert choice.x_usersim["probabilities"] == pytest.approx(dict(direct.probabilities), abs=1e-4)
