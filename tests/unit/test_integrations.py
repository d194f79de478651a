"""Simulated people in other tools: Gymnasium's checker, MCP's own client, testbeds' callbacks."""

from __future__ import annotations

import asyncio
import builtins
import importlib
import sys
import warnings
from pathlib import Path

import pytest

from tests.fixtures.people import engine
from usersim import Corpus, DialogueConfig, Scenario, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import AssistantError, ConfigError, MissingDependencyError, UserNotFoundError
from usersim.integrations.callback import UserCallback
from usersim.integrations.mcp_server import ConversationMessage, PeopleTools, build_server

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, evidence=0), simulation=SimulationConfig(traces=2, redraws=0)
)
QUIET = DialogueConfig(max_turns=3, leaving="never", patience="off")
ROWS = [
    {"user_id": who, "context": f"Tea number {n}?", "action": "Yes."}
    for who in ("ada", "bob")
    for n in range(5)
]
CANARY = "canary-7e1"


SURVEY = {
    "title": "Lunch",
    "questions": [
        {
            "type": "single_choice",
            "id": "where",
            "text": "Where do you eat?",
            "options": ["at home", "out"],
        },
        {"type": "open_text", "id": "more", "text": "Anything else?"},
    ],
}


@pytest.fixture
def sim():
    """Two invented people and a scripted engine."""
    with UserSimulator.from_corpus(ROWS, engine=ScriptedEngine(), config=CONFIG) as made:
        yield made


@pytest.fixture
def leaking():
    """The same people, every one of whose traces holds the canary."""
    model = engine(reasoning=f"{CANARY} thought", action="I would like tea. [done]")
    with UserSimulator.from_corpus(ROWS, engine=model, config=CONFIG) as made:
        yield made


def env_of(sim: UserSimulator, **how):
    """An environment with two scenarios, one that the assistant begins."""
    from usersim.integrations.gymnasium import UserEnv

    goals = [Scenario(goal="tea", user_id="ada"), Scenario(user_id="bob", begins="assistant")]
    return UserEnv(sim, goals, **{"config": QUIET, **how})


# ---------------------------------------------------------------------- Gymnasium


@pytest.mark.parametrize("render_mode", [None, "ansi"])
def test_gymnasiums_checker_finds_nothing(sim: UserSimulator, render_mode: str | None) -> None:
    """`check_env` passes with every warning an error: spaces, seeds, determinism, returns."""
    from gymnasium.utils.env_checker import check_env
    from gymnasium.utils.passive_env_checker import env_render_passive_checker

    env = env_of(sim, render_mode=render_mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Its check of rendering copies the environment's arguments, and a store has no copy.
        check_env(env, skip_render_check=True)
        if render_mode:
            env.reset(seed=1)
            env_render_passive_checker(env)
    assert env.render().startswith(("user:", "assistant:")) or env.render() == ""


def test_an_episode_runs_to_its_truncation(sim: UserSimulator) -> None:
    """Three turns of the person and three replies, then the limit, then `reset` is needed."""
    env = env_of(sim)
    said, info = env.reset(seed=5, options={"scenario": 0})
    assert said
    assert info["user_id"] == "ada"
    assert "stop" not in info
    for place in range(3):
        said, reward, terminated, truncated, info = env.step("Yes?")
        assert (terminated, truncated, reward) == (False, place == 2, 0.0)
    assert said == ""
    assert info["stop"]["reason"] == "limit"
    assert env.render().count("assistant: Yes?") == 3
    with pytest.raises(ConfigError, match="no dialogue is in progress"):
        env.step("Hello?")


def test_a_person_who_is_done_ends_the_episode_with_a_reward(leaking: UserSimulator) -> None:
    """Terminated, not truncated; the mark is gone, the trace is in `info` and nowhere else."""
    env = env_of(leaking, config=DialogueConfig(patience="off"))
    said, info = env.reset(options={"scenario": 1})
    assert said == ""
    assert "reasoning" not in info
    said, reward, terminated, truncated, info = env.step("Hello.")
    assert (said, reward, terminated, truncated) == ("I would like tea.", 1.0, True, False)
    assert CANARY in info["reasoning"]
    assert CANARY not in said + str(info["messages"]) + env.render()


def test_a_turn_that_cannot_be_made_cuts_the_episode(sim: UserSimulator) -> None:
    """Training goes on with the next episode; `info` says what happened."""
    calls = iter([True])
    bad = engine(action=lambda request, index: "hi" if next(calls, False) else "<think>")
    with UserSimulator.from_corpus(ROWS, engine=bad, config=CONFIG) as broken:
        env = env_of(broken)
        env.reset(options={"scenario": 0})
        said, _, terminated, truncated, info = env.step("Hello.")
        assert (said, terminated, truncated) == ("", False, True)
        assert "none of the drawn actions is a valid free_text" in info["failure"]
        with pytest.raises(ConfigError, match="call reset"):
            env.step("Hello.")


def test_wrong_uses_of_the_environment_are_named(sim: UserSimulator) -> None:
    """No scenario, an unknown option, a scenario that is not there, an empty message."""
    from usersim.integrations.gymnasium import UserEnv, Utterance

    with pytest.raises(ConfigError, match="at least one scenario"):
        UserEnv(sim, [])
    env = env_of(sim)
    with pytest.raises(ConfigError, match=r"\['goal'\]"):
        env.reset(options={"goal": "x"})
    with pytest.raises(ConfigError, match=r"7.* 2"):
        env.reset(options={"scenario": 7})
    env.reset(options={"scenario": 0})
    with pytest.raises(AssistantError, match="''"):
        env.step("")
    with pytest.raises(ConfigError, match="without a mask"):
        Utterance(9).sample(mask=(None, None))
    assert Utterance(5, min_length=5).sample() in Utterance(5, min_length=5)


def test_seeds_make_episodes_again(sim: UserSimulator) -> None:
    """The same seed draws the same scenarios and turns; the next episode is another one."""
    env = env_of(sim)
    runs = []
    for _ in range(2):
        first = env.reset(seed=11)[0]
        runs.append((first, [env.reset()[0] for _ in range(6)]))
    assert runs[0] == runs[1]
    assert len(set(runs[0][1])) > 1


@pytest.mark.parametrize(
    ("package", "extra", "use"),
    [
        ("gymnasium", "gym", lambda sim: importlib.import_module("usersim.integrations.gymnasium")),
        ("mcp.server", "mcp", build_server),
    ],
)
def test_a_missing_library_names_its_extra(
    sim: UserSimulator, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, use
) -> None:
    """Without the library the error says which extra to install."""
    real = builtins.__import__

    def without(name: str, *args, **how):
        if name == package:
            raise ImportError(name)
        return real(name, *args, **how)

    monkeypatch.delitem(sys.modules, "usersim.integrations.gymnasium", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError) as caught:
        use(sim)
    assert f"usersim-recon[{extra}]" in caught.value.hint


# ---------------------------------------------------------------------- callbacks


def test_a_callback_speaks_as_the_person_and_keeps_nothing(leaking: UserSimulator) -> None:
    """Messages in, the next one out: system prompts, tools and parts are read as they are."""
    person = UserCallback(leaking, Scenario(goal="tea", user_id="ada"))
    messages: list[dict[str, object]] = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": [{"type": "text", "text": "What can I do?"}]},
    ]
    said = person(messages)
    again = asyncio.run(person.acall(messages))
    assert (said.text, said.stop) == (again.text, again.stop)
    assert said.text == "I would like tea."
    assert said.stop is not None
    assert said.stop.reason == "done"
    prompt = str(leaking.engine.requests[-1].prompt)  # type: ignore[attr-defined]
    assert "Me: hello" in prompt
    assert "assistant: What can I do?" in prompt
    assert "You are an agent." not in prompt
    assert "42" not in prompt


def test_a_callback_is_the_same_person_as_a_dialogue(sim: UserSimulator) -> None:
    """A testbed that holds the dialogue itself gets the turns that `dialogue` would."""
    held = sim.dialogue(lambda messages: "I see.", "tea", user_id="ada", config=QUIET)
    person = UserCallback(sim, Scenario(goal="tea", user_id="ada"), config=QUIET)
    messages: list[dict[str, str]] = []
    while (said := person(messages)).text:
        messages += [
            {"role": "user", "content": said.text},
            {"role": "assistant", "content": "I see."},
        ]
    assert messages == held.messages()
    assert said.stop == held.stop
    assert said.answer is None


def test_a_callback_knows_its_opening_and_whose_turn_it_is(sim: UserSimulator) -> None:
    """A fixed opening is said first; a dialogue that ends with the person is refused."""
    person = UserCallback(sim, Scenario(user_id="ada", opening="hi there"), config=QUIET)
    assert person([]).text == "hi there"
    with pytest.raises(ConfigError, match="'hi there'"):
        person([{"role": "user", "content": "hi there"}])
    with pytest.raises(ConfigError, match="has no text: 7"):
        person([{"role": "assistant", "content": 7}])


# ---------------------------------------------------------------------- MCP


def test_tools_answer_without_reasoning_and_read_it_when_asked(leaking: UserSimulator) -> None:
    """An answer is marked and bare; its id gives the trace; strangers and others are refused."""
    tools = PeopleTools(leaking)
    listed = tools.list_people()
    assert (listed.total, [one.user_id for one in listed.people]) == (2, ["ada", "bob"])
    assert [one.user_id for one in tools.list_people(after="ada").people] == ["bob"]
    given = tools.ask_user(
        "ada", "And now?", conversation=[ConversationMessage(role="user", content="hi")], seed=3
    )
    assert given.simulated is True
    assert CANARY not in given.model_dump_json()
    read = tools.read_trace(given.trace_id)
    assert CANARY in read.reasoning
    assert read.action == given.action
    with pytest.raises(UserNotFoundError, match="'adda'"):
        tools.ask_user("adda", "hi")
    with pytest.raises(ConfigError, match="'x'"):
        tools.read_trace("x")


def test_the_conversation_is_seen_from_the_persons_side(sim: UserSimulator) -> None:
    """`user` is the person asked: their earlier words are theirs in the prompt."""
    PeopleTools(sim).ask_user(
        "ada", "So?", conversation=[ConversationMessage(role="user", content="i was charged twice")]
    )
    prompt = str(sim.engine.requests[-1].prompt)  # type: ignore[attr-defined]
    assert "Me: i was charged twice" in prompt
    assert "assistant: So?" in prompt


def test_a_survey_answers_without_reasoning_and_within_bounds(leaking: UserSimulator) -> None:
    """Every respondent and item has an answer with probabilities; too much is refused first."""
    tools = PeopleTools(leaking)
    given = tools.run_survey(SURVEY, seed=2)
    assert given.respondents == ["ada", "bob"]
    assert given.simulated is True
    where = [one for one in given.answers if one.question == "where"]
    assert [sum(one.probabilities.values()) for one in where] == pytest.approx([1, 1])
    assert {one.value for one in where} <= {"at home", "out"}
    assert CANARY not in given.model_dump_json()
    long = {"type": "matrix", "id": "m", "text": "How is it?", "options": ["good", "bad"]}
    rows = [f"row {n}" for n in range(150)]
    twice = [{**long, "id": name, "rows": rows} for name in ("first", "second")]
    with pytest.raises(ConfigError, match=r"600.* 500"):
        tools.run_survey({"title": "Long", "questions": twice})
    with pytest.raises(UserNotFoundError, match="'adda'"):
        tools.run_survey(SURVEY, people=["adda"])


def test_a_server_for_one_person_answers_for_nobody_else() -> None:
    """With `user_id` the others are neither listed nor asked nor read."""
    with UserSimulator.from_corpus(ROWS, engine="scripted", config=CONFIG) as all_of_them:
        store = all_of_them.corpus
        tools = PeopleTools(UserSimulator(store, user_id="ada", engine="scripted"))
        assert [one.user_id for one in tools.list_people().people] == ["ada"]
        with pytest.raises(ConfigError, match="'bob'"):
            tools.ask_user("bob", "hi")


def test_a_stored_trace_is_read_with_its_verdict(sim: UserSimulator) -> None:
    """The keys that `usersim show` prints work as well, and bring the guards' verdict."""
    sim.reconstruct(limit=1)
    row = next(iter(sim.corpus.interactions(["ada"], split="train")))
    newest = list(sim.corpus.interactions(["ada"], split="train"))[-1]
    read = PeopleTools(sim).read_trace(newest.key[:12])
    assert read.user_id == "ada"
    assert read.verdict
    with pytest.raises(ConfigError, match="no trace"):
        PeopleTools(sim).read_trace(row.key[:3])


async def answers_over(client) -> None:
    """Ask, ask again, read the trace, and put a survey, each over a client."""
    asked = {"user_id": "ada", "message": "Milk?", "options": ["yes", "no"], "seed": 4}
    given = (await client.call_tool("ask_user", asked)).structured_content
    assert given["simulated"] is True
    assert given["action"] in {"yes", "no"}
    assert sum(given["probabilities"].values()) == pytest.approx(1)
    assert (await client.call_tool("ask_user", asked)).structured_content == given
    read = await client.call_tool("read_trace", {"trace_id": given["trace_id"]})
    assert read.structured_content["reasoning"]
    put = await client.call_tool("run_survey", {"survey": SURVEY, "people": ["bob"]})
    answers = put.structured_content["answers"]
    assert [one["question"] for one in answers] == ["where", "more"]


async def refusals_over(client) -> None:
    """What is wrong comes back as the tool's error, with the value and the next step."""
    for tool, wrong, said in (
        ("ask_user", {"user_id": "adda", "message": "hi"}, "did you mean 'ada'"),
        ("ask_user", {"user_id": "ada", "message": " "}, "the context must not be empty"),
        ("ask_user", {"user_id": "ada"}, "message"),
        ("run_survey", {"survey": {"title": "x"}}, "is not valid"),
    ):
        refused = await client.call_tool(tool, wrong)
        assert refused.is_error
        assert said in refused.content[0].text


def test_mcp_over_standard_input_and_output(tmp_path: Path) -> None:
    """The SDK's own client drives the command: tools, answers, traces, errors with a next step.

    Whatever else stood on standard output would break the protocol.
    """
    from mcp import Client, StdioServerParameters

    store = tmp_path / "people.db"
    with Corpus.open(store) as corpus:
        corpus.add(ROWS)
    start = "from usersim.cli import main; main()"
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", start, "mcp", "--corpus", str(store), "--engine", "scripted"],
    )

    async def drive() -> None:
        async with Client(server) as client:
            tools = {one.name: one for one in (await client.list_tools()).tools}
            assert set(tools) == {"list_people", "ask_user", "run_survey", "read_trace"}
            assert "Ask simulated people" in (client.instructions or "")
            listed = (await client.call_tool("list_people", {})).structured_content
            assert listed is not None
            assert listed["total"] == 2
            await answers_over(client)
            await refusals_over(client)

    asyncio.run(drive())


def test_tools_are_described_to_a_model(sim: UserSimulator) -> None:
    """A description has no indentation of source code and no exceptions of Python."""
    for tool in asyncio.run(build_server(sim).list_tools()):
        said = tool.description or ""
        assert "\n        Args:" not in said
        assert "Raises" not in said
        assert "Error" not in said


def test_reasoning_can_be_kept_from_clients(sim: UserSimulator) -> None:
    """Without traces the tool is not there; further tools can be added beside."""

    def count_chairs(name: str) -> str:
        """Count the chairs."""
        return name

    server = build_server(sim, traces=False, more=[count_chairs])
    names = {tool.name for tool in asyncio.run(server.list_tools())}
    assert names == {"list_people", "ask_user", "run_survey", "count_chairs"}
