"""Dialogues with a corpus' people: batches, files, assistants of every kind, and no leak."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from pathlib import Path

import pytest

from tests.fixtures.assistants import desk, said, streamed
from tests.fixtures.people import engine, is_reasoning
from usersim import AssistantEndpoint, Dialogue, DialogueConfig, Scenario, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig
from usersim.engines import GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import (
    AssistantError,
    ConfigError,
    CorpusError,
    EngineUnavailableError,
    UserNotFoundError,
    UsersimError,
)
from usersim.simulation.dialogue import Messages
from usersim.simulator import Voices, read_dialogues, write_chats
from usersim.transcript import REASONING_STOP

CANARY = "canary-7e1"
HANG = 60
"""Seconds after which something that never comes is given up; no test passes because of it."""
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, evidence=0), simulation=SimulationConfig(traces=1, redraws=1)
)
SHORT = DialogueConfig(max_turns=2, leaving="never", patience="off")
GOALS = [Scenario(goal=f"goal {n}", user_id=who) for n in range(3) for who in ("ada", "bob")]


def chats(user_id: str, lengths: list[int]) -> list[dict[str, object]]:
    """Past chats of one invented person, with so many turns of theirs each."""
    return [
        {
            "id": f"{user_id}-{number}",
            "user_id": user_id,
            "messages": [
                {"role": role, "content": f"{role} {turn} of {number}"}
                for turn in range(length)
                for role in ("user", "assistant")
            ],
        }
        for number, length in enumerate(lengths)
    ]


def simulator(model=None, rows=None, **fields) -> UserSimulator:
    """Two invented people who chat, with a scripted engine."""
    rows = [*chats("ada", [1, 2, 3]), *chats("bob", [2, 2])] if rows is None else rows
    return UserSimulator.from_corpus(
        rows, engine=model or ScriptedEngine(), config=CONFIG, person="user", **fields
    )


def echo(messages: Messages) -> str:
    """An assistant that says how many messages it read."""
    return f"reply {len(messages)}"


def words_of(dialogue: Dialogue) -> list[str]:
    """What was said, in order."""
    return [turn.text for turn in dialogue.turns]


# ---------------------------------------------------------------------- roles and leaks


def test_the_user_model_sees_itself_and_the_assistant_sees_a_user() -> None:
    """In the prompt of the second turn the person is "Me", named in the system line."""
    seen: list[Messages] = []

    def assistant(messages: Messages) -> str:
        seen.append(messages)
        return "For which month?"

    model = engine(action="i was charged twice")
    with simulator(model) as sim:
        sim.dialogue(assistant, "a refund", user_id="ada", config=SHORT)
    assert seen[0] == [{"role": "user", "content": "i was charged twice"}]
    second = [
        one
        for one in model.requests
        if "For which month?" in one.prompt[-1][1] and not is_reasoning(one)
    ]
    assert second[0].prompt[0][1].startswith("You are ada.")
    assert (
        second[0]
        .prompt[-1][1]
        .rstrip()
        .endswith("what I want: a refund\nMe: i was charged twice\nassistant: For which month?")
    )


def test_the_assistant_begins_where_it_is_told_to() -> None:
    """It is first called with no message at all, and the person answers what it said."""
    with simulator() as sim:
        held = sim.dialogue(echo, "tea", user_id="ada", begins="assistant", config=SHORT)
    assert [turn.speaker for turn in held.turns][:2] == ["assistant", "user"]
    assert held.turns[0].text == "reply 0"


def leaking() -> ScriptedEngine:
    """A user model whose every trace holds the canary, and whose first draws are malformed."""
    drawn: dict[str, int] = {}

    def reply(request: GenerateRequest, index: int) -> str:
        if is_reasoning(request):
            return f"{CANARY} is what I think.\n{REASONING_STOP}"
        place = str(request.prompt)
        drawn[place] = drawn.get(place, 0) + 1
        # A tag in the action: malformed, drawn again, and its text must not be used.
        return f"<think>{CANARY}</think> no" if drawn[place] == 1 else "it was charged twice"

    return ScriptedEngine(reply)


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_never_reaches_a_server(stream: bool) -> None:
    """Through redraws of the person and refused, broken and repeated requests: no canary."""

    def chat(body: dict, number: int) -> tuple[int, str]:
        if number == 0:
            return 503, "overloaded"
        if number == 1 and stream:
            return streamed("I w", whole=False)
        if stream:
            return streamed("I will ", "look", " into it.")
        return said("I will look into it.", reasoning_content="an assistant's own thought")

    with desk(chat) as server, simulator(leaking()) as sim:
        assistant = AssistantEndpoint(
            model="helper", base_url=server.base_url, system="Be kind.", stream=stream
        )
        held = sim.dialogue(assistant, f"{CANARY} goal", user_id="ada", config=SHORT)
    assert held.user_turns == 2
    assert held.turns[0].answer is not None
    assert CANARY in held.turns[0].answer.reasoning
    assert held.turns[1].text == "I will look into it."
    assert len(server.raw) == (4 if stream else 3)
    assert CANARY not in "".join(server.raw)
    assert "own thought" not in str(held.messages())
    assert server.bodies[-1]["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "it was charged twice"},
        {"role": "assistant", "content": "I will look into it."},
        {"role": "user", "content": "it was charged twice"},
    ]


def test_reasoning_never_reaches_a_callable() -> None:
    """What a callable is given, and may keep or change, holds no trace and changes nothing."""
    seen: list[str] = []

    def assistant(messages: Messages) -> str:
        seen.append(json.dumps(messages))
        messages.clear()
        return "Understood."

    with simulator(leaking()) as sim:
        held = sim.dialogue(assistant, CANARY, user_id="ada", config=SHORT)
    assert CANARY not in "".join(seen)
    assert words_of(held) == ["it was charged twice", "Understood."] * 2


# ---------------------------------------------------------------------- batches


def test_a_batch_is_the_same_as_its_dialogues_one_by_one() -> None:
    """Neither the number of dialogues nor how many are held at once changes what is said."""
    with simulator() as sim:
        together = sim.dialogues(echo, GOALS, config=SHORT)
        two = SHORT.model_copy(update={"at_once": 2})
        by_two = sim.dialogues(echo, GOALS, config=two)
        alone = [sim.dialogues(echo, [one], config=SHORT).items[0] for one in GOALS]
        other = sim.dialogues(echo, GOALS, config=SHORT, seed=9)
    assert list(map(words_of, together)) == list(map(words_of, by_two))
    assert [one.key for one in together] == [one.key for one in by_two if one]
    assert list(map(words_of, together)) == [words_of(one) for one in alone if one]
    assert list(map(words_of, together)) != list(map(words_of, other))


def test_all_turns_of_a_round_are_drawn_in_one_batch() -> None:
    """Six dialogues of two turns take as many calls of the engine as one."""
    calls: list[int] = []
    for goals in (GOALS[:1], GOALS):
        model = ScriptedEngine()
        with simulator(model) as sim:
            sim.dialogues(echo, goals, config=SHORT)
        calls.append(model.calls)
    assert calls[0] == calls[1]


def test_another_draw_is_another_dialogue() -> None:
    """The same scenario with another number has other turns and another identity."""
    with simulator() as sim:
        goals = [Scenario(goal="tea", user_id="ada", draw=draw) for draw in (0, 1, 0)]
        first, second, third = sim.dialogues(echo, goals, config=SHORT)
    assert words_of(first) != words_of(second)
    assert (first.key, words_of(first)) == (third.key, words_of(third))


def test_one_failure_is_data() -> None:
    """A dialogue whose assistant fails keeps what was said; the others go on to their end."""

    def assistant(messages: Messages) -> str:
        if "bob" in messages[0]["content"]:
            raise KeyError("no such order")
        return "Yes."

    def reply(request: GenerateRequest, index: int) -> str:
        who = "bob" if "You are bob" in request.prompt[0][1] else "ada"
        return f"a thought\n{REASONING_STOP}" if is_reasoning(request) else f"{who} speaks"

    progress: list[tuple[str, int, int]] = []
    with simulator(ScriptedEngine(reply)) as sim:
        batch = sim.dialogues(
            assistant, GOALS[:2], config=SHORT, progress=lambda *told: progress.append(told)
        )
    assert [one is None for one in batch.items] == [False, True]
    failure = batch.failures[0]
    assert (failure.index, failure.item, failure.error) == (1, "bob", "AssistantError")
    assert "user 'bob', dialogue 1" in failure.message
    assert "no such order" in failure.message
    assert failure.text == "user: bob speaks"
    assert progress[0] == ("dialogues", 0, 2)
    assert progress[-1] == ("dialogues", 2, 2)


def test_a_malformed_turn_is_the_failure_of_its_dialogue_alone() -> None:
    """A person whose text stays unreadable fails with the text; the other one talks on."""

    def reply(request: GenerateRequest, index: int) -> str:
        if is_reasoning(request):
            return f"a thought\n{REASONING_STOP}"
        return "<think>never an action" if "You are bob" in request.prompt[0][1] else "fine"

    with simulator(ScriptedEngine(reply)) as sim:
        batch = sim.dialogues(echo, GOALS[:2], config=SHORT)
    assert batch.items[0] is not None
    assert batch.items[1] is None
    assert "user 'bob', dialogue 1" in batch.failures[0].message
    assert "<think>never an action" in batch.failures[0].text


def test_a_single_dialogue_that_fails_raises_with_what_was_said() -> None:
    """`dialogue` raises where `dialogues` returns a failure."""
    with simulator(engine(action="hello")) as sim, pytest.raises(UsersimError) as caught:
        sim.dialogue(lambda messages: "", "tea", user_id="ada", config=SHORT)
    assert "user: hello" in "".join(caught.value.__notes__)


# ---------------------------------------------------------------------- assistants


def test_asynchronous_replies_run_side_by_side() -> None:
    """Every reply waits until all of them are under way, also inside a loop: none is in turn."""
    active = 0
    together: asyncio.Event | None = None

    async def assistant(messages: Messages) -> str:
        nonlocal active, together
        together = together or asyncio.Event()
        active += 1
        if active == len(GOALS):
            together.set()
        await asyncio.wait_for(together.wait(), HANG)
        return "Yes."

    async def inside_a_loop(sim: UserSimulator) -> int:
        return len(list(sim.dialogues(assistant, GOALS, config=SHORT)))

    with simulator() as sim:
        assert asyncio.run(inside_a_loop(sim)) == len(GOALS)


def test_an_asynchronous_assistant_that_hangs_is_given_up() -> None:
    """Its dialogue fails after the time allowed, and says so; the others do not wait for it."""
    calls = itertools.count()

    async def assistant(messages: Messages) -> str:
        if next(calls) == 0:
            await asyncio.Event().wait()
        return "Yes."

    impatient = SHORT.model_copy(update={"assistant_seconds": 0.5})
    with simulator() as sim:
        batch = sim.dialogues(assistant, GOALS[:2], config=impatient)
    assert [one is None for one in batch.items] == [True, False]
    assert "timed out after 0.5 s" in batch.failures[0].message


def test_a_synchronous_assistant_is_called_from_one_thread_in_order() -> None:
    """It need not be safe for threads: replies come one after the other, in order."""
    seen: list[tuple[int, int]] = []

    def assistant(messages: Messages) -> str:
        seen.append((threading.get_ident(), len(messages)))
        return "Yes."

    with simulator() as sim:
        sim.dialogues(assistant, GOALS, config=SHORT)
    assert {thread for thread, _ in seen} == {threading.get_ident()}
    assert [n for _, n in seen] == [1] * 6 + [3] * 6


def test_what_is_no_assistant_is_refused() -> None:
    """Neither a name nor a callable that returns something else is taken for an assistant."""
    with simulator() as sim:
        with pytest.raises(AssistantError, match="'gpt'"):
            sim.dialogue("gpt", "tea", user_id="ada")  # type: ignore[arg-type]
        with pytest.raises(UsersimError, match="returned 7, which is not a text"):
            sim.dialogue(lambda messages: 7, "tea", user_id="ada")  # type: ignore[arg-type]


def test_a_server_that_is_gone_ends_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
    """No server refuses every dialogue of a round by chance: it is raised, not collected."""
    path = tmp_path / "held.jsonl"
    gone = AssistantEndpoint(model="m", base_url="http://127.0.0.1:9/v1", tries=1)
    with simulator() as sim, pytest.raises(EngineUnavailableError, match="cannot be reached"):
        sim.dialogues(gone, GOALS, config=SHORT, path=path)
    assert list(read_dialogues(path)) == []


def test_a_reply_without_words_is_asked_for_again() -> None:
    """A server's message that only calls a tool is no reply; the next try may be one."""
    with desk(lambda body, n: said(None if n == 0 else "Here I am.")) as server, simulator() as sim:
        held = sim.dialogue(
            AssistantEndpoint(model="m", base_url=server.base_url, options={"seed": 5}),
            "tea",
            user_id="ada",
            config=SHORT,
        )
    assert held.turns[1].text == "Here I am."
    assert held.assistant == f"m at {server.base_url}"
    assert server.bodies[0]["seed"] == 5


# ---------------------------------------------------------------------- files


def test_finished_dialogues_are_not_held_again(tmp_path: Path) -> None:
    """Interrupted in the middle, the same call holds the rest and returns the same dialogues."""
    path = tmp_path / "held.jsonl"
    one_by_one = SHORT.model_copy(update={"at_once": 1})
    calls = 0

    def assistant(messages: Messages) -> str:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return echo(messages)

    with simulator() as sim:
        whole = sim.dialogues(echo, GOALS, config=one_by_one)
        with pytest.raises(KeyboardInterrupt):
            sim.dialogues(assistant, GOALS, config=one_by_one, path=path, assistant_name="echo")
        kept = list(read_dialogues(path))
        assert len(kept) == 2
        with path.open("ab") as file:
            file.write(b'{"key": "half wri')
        batch = sim.dialogues(assistant, GOALS, config=one_by_one, path=path, assistant_name="echo")
    assert list(map(words_of, batch)) == list(map(words_of, whole))
    assert [one.key for one in batch] == [one.key for one in read_dialogues(path)]
    assert calls == 6 + 8
    assert not path.with_name("held.jsonl.lock").exists()


def test_a_changed_setting_is_another_dialogue(tmp_path: Path) -> None:
    """Another seed, goal, assistant or limit is held anew; speed and metadata are not."""
    path = tmp_path / "held.jsonl"
    same = Scenario(goal="goal 0", user_id="ada", metadata={"seen": 2})
    with simulator() as sim:

        def hold(scenario: Scenario = GOALS[0], **how) -> int:
            batch = sim.dialogues(echo, [scenario], path=path, **{"config": SHORT, **how})
            assert batch.items[0] is not None
            assert batch.items[0].scenario.metadata == scenario.metadata
            return len(list(read_dialogues(path)))

        assert hold() == 1
        assert hold(same, config=SHORT.model_copy(update={"at_once": 3})) == 1
        assert hold(seed=4) == 2
        assert hold(assistant_name="another") == 3
        assert hold(config=SHORT.model_copy(update={"max_turns": 1})) == 4
        assert hold(Scenario(goal="goal 9", user_id="ada")) == 5


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Who comes second is told so, and nothing is written."""
    path = tmp_path / "held.jsonl"
    with simulator() as sim:

        def assistant(messages: Messages) -> str:
            with pytest.raises(ConfigError, match="another process is writing"):
                sim.dialogues(echo, GOALS[:1], config=SHORT, path=path)
            return "Yes."

        sim.dialogues(assistant, GOALS[:1], config=SHORT, path=path)
    assert len(list(read_dialogues(path))) == 1


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    """A line that is no dialogue, a missing file and a folder are said with their path."""
    path = tmp_path / "other.jsonl"
    path.write_text('{"user_id": "ada"}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"line 1 of .*other.jsonl.* is not a valid dialogue"):
        list(read_dialogues(path))
    with pytest.raises(CorpusError, match="cannot be read from"):
        list(read_dialogues(tmp_path / "missing.jsonl"))
    with pytest.raises(CorpusError, match="cannot be written to"):
        write_chats([], tmp_path)


def test_exported_chats_are_marked_and_can_be_read_back_as_chats(tmp_path: Path) -> None:
    """Without traces a file holds what the assistant saw; with them the reasoning stands beside."""
    plain, full = tmp_path / "plain.jsonl", tmp_path / "full.jsonl"
    with simulator(leaking()) as sim:
        batch = sim.dialogues(echo, GOALS[:2], config=SHORT)
        assert write_chats(batch, plain) == write_chats(batch, full, traces=True) == 2
    rows = [json.loads(line) for line in plain.read_text("utf-8").splitlines()]
    assert all(row["simulated"] is True for row in rows)
    assert CANARY not in plain.read_text("utf-8")
    assert CANARY in full.read_text("utf-8")
    with UserSimulator.from_corpus(plain, engine="scripted", person="user") as again:
        assert again.users == ["ada", "bob"]
        past = next(iter(again.corpus.interactions(["ada"])))
        assert past.metadata["simulated"] is True
    assert sorted(one.name for one in tmp_path.iterdir() if one.suffix == ".jsonl") == [
        "full.jsonl",
        "plain.jsonl",
    ]


# ---------------------------------------------------------------------- people


def test_patience_comes_from_the_person_then_from_all_then_from_nobody() -> None:
    """Who has enough conversations has their own; who has not, everybody's; or the default."""
    rows = [*chats("ada", [1, 2, 3, 2, 1, 4]), *chats("bob", [2])]
    with simulator(rows=rows) as sim:
        own = Voices(sim, DialogueConfig(min_conversations=4))
        # A fifth of each person's conversations is held out.
        assert own.patience("ada").source == "person"
        assert own.patience("bob").source == "people"
        assert own.patience("bob").conversations >= 4
        assert Voices(sim, DialogueConfig(min_conversations=99)).patience("ada").source == "default"


def test_a_person_without_patience_leaves_and_the_record_says_why() -> None:
    """Where nearly every past chat had one turn, so have the dialogues; the figure is kept."""
    rows = chats("ada", [2] + [1] * 30)
    with simulator(rows=rows) as sim:
        goals = [Scenario(goal="tea", draw=draw) for draw in range(12)]
        batch = sim.dialogues(echo, goals, config=DialogueConfig(leaving="never"))
        stayed = sim.dialogues(
            echo, goals, config=DialogueConfig(leaving="never", patience="off", max_turns=3)
        )
    left = [one for one in batch if one.stop.reason == "patience" and one.user_turns == 1]
    assert len(left) >= 9
    assert "after turn 1; from" in left[0].stop.detail
    assert {one.stop.reason for one in stayed} <= {"limit", "repetition"}


def test_answers_of_dialogues_are_stored_and_forgotten_with_the_person() -> None:
    """Each turn stands in the store as any answer does, and goes when the person goes."""
    with simulator() as sim:
        held = sim.dialogue(echo, "tea", user_id="ada", config=SHORT)
        assert held.user_turns == 2
        assert len(list(sim.corpus.ledger.responses("ada"))) == 2
        assert sim.corpus.forget("ada").responses == 2


def test_the_person_asked_whether_to_go_on_answers_by_score() -> None:
    """A model that favors leaving ends the dialogue after the first reply."""
    model = engine(reasoning="I am done with this.", action="hello")
    with simulator(model) as sim:
        held = sim.dialogue(
            echo, "tea", user_id="ada", config=DialogueConfig(leaving="asked", patience="off")
        )
    assert held.stop.reason == "done"
    assert held.turns[-1].speaker == "assistant"
    assert held.turns[-1].leaving is not None


def test_people_and_goals_that_are_not_there_are_named() -> None:
    """No scenario, no person where there are two, and somebody unknown are errors at once."""
    with simulator() as sim:
        with pytest.raises(ConfigError, match="at least one scenario"):
            sim.dialogues(echo, [])
        with pytest.raises(ConfigError, match="no user was named"):
            sim.dialogue(echo, "tea")
        with pytest.raises(UserNotFoundError, match="'adda'"):
            sim.dialogue(echo, "tea", user_id="adda")


@pytest.mark.model
@pytest.mark.slow
def test_a_dialogue_on_the_embedded_model(embedded_model: Path) -> None:
    """The real model talks: turns alternate, every turn has its trace, none shows it."""
    rows = chats("ada", [2, 2])
    config = PipelineConfig.preset("tiny")
    short = config.simulation.model_copy(update={"max_action_tokens": 160, "redraws": 3})
    with UserSimulator.from_corpus(
        rows,
        person="user",
        engine="transformers",
        config=config.model_copy(update={"simulation": short}),
    ) as sim:
        once = SHORT.model_copy(update={"max_turns": 1})
        held = sim.dialogue(echo, "ask for tea", config=once, seed=1)
    spoken = [turn for turn in held.turns if turn.speaker == "user"]
    assert spoken
    assert all(turn.answer is not None for turn in spoken)
    assert "think>" not in str(held.messages())


def test_half_a_surrogate_pair_in_a_reply_or_an_error_is_kept_as_a_replacement(
    tmp_path: Path,
) -> None:
    """The file holds every dialogue, and the same call takes them from there."""
    asked: list[Messages] = []

    def broken(messages: Messages) -> str:
        asked.append(messages)
        return "I can help\ud800 you."

    def raising(messages: Messages) -> str:
        raise RuntimeError("no\udfff more")

    path = tmp_path / "talks.jsonl"
    with simulator() as sim:
        sim.dialogues(broken, GOALS[:2], config=SHORT, path=path)
        told = len(asked)
        assert len(sim.dialogues(broken, GOALS[:2], config=SHORT, path=path)) == 2
        assert len(asked) == told
        assert len(sim.dialogues(raising, GOALS[2:4], config=SHORT, path=path)) == 2
    assert len(list(read_dialogues(path))) >= 2
    assert "I can help\N{REPLACEMENT CHARACTER} you." in path.read_text(encoding="utf-8")
