"""The face as its callers meet it: what may be given, what comes back, what a mistake is told."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.people import DRINKS, engine, person, question
from usersim import Corpus, UserSimulator
from usersim.config import (
    DEFAULT_PRESET,
    HistoryConfig,
    PipelineConfig,
    SimulationConfig,
)
from usersim.errors import (
    ActionError,
    ArgumentError,
    ConfigError,
    CorpusError,
    CorpusFormatError,
    UsersimError,
)
from usersim.simulation import Piece
from usersim.simulation.dialogue import Scenario
from usersim.survey import Survey, YesNo
from usersim.types import Message, Question

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=1, similar=0), simulation=SimulationConfig(traces=1, redraws=0)
)
ROWS = [*person("ada", 4), *person("bob", 4, "market")]
SAID = [{"role": "assistant", "content": "Tea?"}, {"role": "assistant", "content": "Now?"}]


@pytest.fixture
def sim() -> Iterator[UserSimulator]:
    """Two people in memory, with a scripted engine."""
    with UserSimulator.from_corpus(ROWS, engine=engine(), config=CONFIG) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of the same two people."""
    path = tmp_path / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add(ROWS)
    return path


def kept(sim: UserSimulator) -> int:
    """How many answers the store holds."""
    return len(list(sim.corpus.ledger.responses()))


# ---------------------------------------------------------------------- what may be given


def test_dicts_are_messages_wherever_messages_are(sim: UserSimulator) -> None:
    """One answer, many, a stream, a run and a question take them, and ask the same."""
    messages = [Message(one["content"], "assistant") for one in SAID]
    wanted = sim.respond(messages, user_id="ada", seed=3)
    (run,) = [one for _, one in sim.run([("ada", SAID)], seed=3).answers()]
    stream = sim.stream(SAID, user_id="ada", seed=3)
    assert list(stream)
    found = [
        sim.respond(SAID, user_id="ada", seed=3),
        sim.respond(Question(SAID), user_id="ada", seed=3),
        sim.respond_many([SAID], user_id="ada", seed=3)[0],
        run,
        stream.answer,
    ]
    assert {one.trace.prompt for one in found} == {wanted.trace.prompt}
    assert {one.trace.seed for one in found} == {wanted.trace.seed}


def test_options_and_kinds_are_one_for_all_or_one_for_each(sim: UserSimulator) -> None:
    """A batch mixes closed and open questions, each with its own options."""
    asked = ["Tea?", "How many?", "Well?"]
    same = sim.respond_many(asked[:2], user_id="ada", options=["yes", "no"])
    assert [set(one.probabilities) for one in same] == [{"yes", "no"}] * 2
    each = sim.respond_many(
        asked[::2], user_id="ada", options=[["a", "b"], None], kind=["scale", None]
    )
    assert [one.kind for one in each] == ["scale", "free_text"]
    with pytest.raises(ConfigError, match="options has 1 entry for 2 contexts"):
        sim.respond_many(asked[:2], user_id="ada", options=[["a", "b"]])
    with pytest.raises(ConfigError, match="kind has 1 entry for 2 contexts"):
        sim.respond_many(asked[:2], user_id="ada", kind=["number"])


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda sim: sim.respond_many("hello", user_id="ada"), ArgumentError, "respond_many.*hel"),
        (lambda sim: sim.respond_many(None, user_id="ada"), ArgumentError, "respond_many.*None"),
        (lambda sim: sim.respond_many(SAID[0], user_id="ada"), ArgumentError, "single one"),
        (lambda sim: sim.respond_many([None], user_id="ada"), ConfigError, "context 0.*None"),
        (lambda sim: sim.respond(None, user_id="ada"), ConfigError, r"respond\(\).*None"),
        (lambda sim: sim.respond("Tea?", user_id=["ada"]), ArgumentError, "user_id.*'ada'"),
        (lambda sim: sim.respond("Tea?", user_id="ada", options="AB"), ActionError, "text 'AB'"),
        (lambda sim: sim.stream(3, user_id="ada"), ConfigError, r"stream\(\).*got 3"),
        (lambda sim: sim.respond_many(["Tea?"], user_id="ada", options="AB"), ActionError, "'AB'"),
        (lambda sim: sim.evaluate(arms="none"), ArgumentError, r"evaluate\(\).*'none'"),
        (lambda sim: sim.dialogues(str, ["goal"]), ArgumentError, r"dialogues\(\).*'goal'"),
        (lambda sim: sim.dialogues(str, Scenario(user_id="ada")), ArgumentError, "single one"),
        (lambda sim: sim.dialogue(str, user_id="ada", config=CONFIG), ArgumentError, "dialogue.*D"),
        (lambda sim: sim.survey({"title": "Drinks"}), ArgumentError, r"survey\(\).*Drinks"),
        (lambda sim: sim.train(progress="bar"), ArgumentError, r"train\(\).*'bar'"),
        (lambda sim: UserSimulator(None), ArgumentError, r"UserSimulator\(\).*None"),
        (lambda sim: UserSimulator("people.db"), ArgumentError, "people.db"),
        (lambda sim: UserSimulator.from_corpus(None), CorpusFormatError, "NoneType"),
        (
            lambda sim: UserSimulator.from_corpus(ROWS, config=SimulationConfig()),
            ArgumentError,
            r"from_corpus\(\): config is a SimulationConfig",
        ),
        (
            lambda sim: UserSimulator(sim.corpus, config=SimulationConfig()),
            ArgumentError,
            r"UserSimulator\(\): config is a SimulationConfig",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_the_function_that_was_called(
    call, error, said, sim: UserSimulator
) -> None:
    """A lone text, None, another type: our error, the public name and the value."""
    with pytest.raises(error, match=said) as caught:
        call(sim)
    assert caught.value.hint
    assert sim.engine.calls == 0  # type: ignore[attr-defined]


def test_a_config_of_one_stage_is_shown_its_place(sim: UserSimulator) -> None:
    """The hint says to which stage the settings belong."""
    with pytest.raises(ArgumentError) as caught:
        UserSimulator(sim.corpus, config=SimulationConfig())  # type: ignore[arg-type]
    assert "PipelineConfig(simulation=SimulationConfig(…))" in caught.value.hint


@pytest.mark.parametrize(
    ("call", "said", "hint"),
    [
        (
            lambda sim: sim.respond("Tea?", option=["a"]),
            r"respond\(\) has no .*'option'",
            "options",
        ),
        (lambda sim: sim.dialogues(str, [], goal="x"), r"dialogues\(\) has no argument 'goal'", ""),
        (lambda sim: sim.dialogue(str, scenario="x"), r"dialogue\(\) has no .*'scenario'", "goal"),
        (lambda sim: sim.survey(), r"survey\(\): missing .*'survey'", "people"),
        (lambda sim: sim.respond("Tea?", "ada"), r"respond\(\) takes 1 argument ", "user_id="),
        (lambda sim: UserSimulator.from_corpus(ROWS, preset="tiny"), "'preset'", "config"),
        (lambda sim: UserSimulator(sim.corpus, preset="tiny"), r"UserSimulator\(\)", "config"),
        (lambda sim: asyncio.run(sim.arespond("Tea?", option=["a"])), r"arespond\(\)", "options"),
        (lambda sim: sim.astream("Tea?", sed=1), r"astream\(\) has no argument 'sed'", "seed"),
    ],
)
def test_a_wrong_keyword_is_named_with_the_right_ones(call, said, hint, sim) -> None:
    """Our error, which is a `TypeError` too, names the public function and the close match."""
    with pytest.raises(TypeError, match=said) as caught:
        call(sim)
    assert isinstance(caught.value, UsersimError)
    assert hint in caught.value.hint


def test_every_signature_is_spelled_out() -> None:
    """`help()` and completion show each argument of each public method, and its docstring."""
    methods = [
        method
        for name, method in inspect.getmembers(UserSimulator, callable)
        if not name.startswith("_") and hasattr(method, "__doc__")
    ]
    assert len(methods) > 20
    for method in methods:
        kinds = {one.kind for one in inspect.signature(method).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds, method
        assert method.__doc__, method


# ---------------------------------------------------------------------- stores


def test_a_store_is_opened_by_open_and_by_from_corpus(store: Path) -> None:
    """The people who were loaded before are there; nothing is loaded."""
    for made in (
        UserSimulator.open(store, engine=engine()),
        UserSimulator.from_corpus(store, engine=engine()),
        UserSimulator.from_corpus(str(store), user_id="ada", engine=engine()),
    ):
        with made as sim:
            assert "ada" in sim.users
            assert sim.report is None


def test_what_is_no_store_is_not_made_one(tmp_path: Path) -> None:
    """A missing file stays missing, and another program's database stays as it is."""
    with pytest.raises(ConfigError, match=r"no store at .*nowhere\.db"):
        UserSimulator.open(tmp_path / "nowhere.db")
    assert list(tmp_path.iterdir()) == []


def test_rows_are_asked_for_where_a_store_was_given_as_text(store: Path) -> None:
    """`corpus.add` and the readers' arguments say what a database is."""
    with Corpus.open(":memory:") as corpus:
        with pytest.raises(CorpusFormatError, match="is a database") as caught:
            corpus.add(store)
        assert "UserSimulator.open" in caught.value.hint
    with pytest.raises(ConfigError, match="person='ada'"):
        UserSimulator.from_corpus(store, person="ada")
    with pytest.raises(ConfigError, match=r"store='other\.db'"):
        UserSimulator.from_corpus(store, store="other.db")


@pytest.mark.parametrize("rows", [[], [{"user_id": "ada"}]])
def test_a_source_of_which_nothing_can_be_used_is_an_error(rows) -> None:
    """No rows, or none without a mistake: the reasons and a row that would do are shown."""
    with pytest.raises(CorpusError) as caught:
        UserSimulator.from_corpus(rows, engine=engine())
    assert '"action"' in caught.value.hint
    if rows:
        assert "context" in str(caught.value)


# ---------------------------------------------------------------------- what comes back


def test_a_simulator_says_what_it_is_in_a_line_and_in_a_table(store: Path) -> None:
    """Person or number of people, model, adapter and store; nothing is loaded for it."""
    with UserSimulator.open(store, user_id="ada", model="large") as sim:
        said = repr(sim)
        assert "engine" not in sim.__dict__
    with UserSimulator.open(store, engine=engine()) as both:
        assert "people='2 people'" in repr(both)
        assert "2 people" in str(both)
        assert "2 people" in both._repr_html_()  # type: ignore[attr-defined]
    assert "person='ada'" in said
    assert "model='large'" in said
    assert "adapter='none (base model)'" in said
    assert "people.usersim.db" in said


def test_a_closed_simulator_can_still_be_shown(sim: UserSimulator) -> None:
    """A debugger that looks at it gets a line, not an error."""
    sim.close()
    assert repr(sim).startswith("UserSimulator(")


def test_answers_batches_and_runs_are_short_to_look_at(sim: UserSimulator) -> None:
    """One line each as a value, a table when printed."""
    answer = sim.respond(question("Tea?", DRINKS), user_id="ada")
    batch = sim.respond_many(["Tea?", "Rain?"], user_id="ada")
    run = sim.run([("ada", "Tea?"), ("bob", "Tea?")], name="r")
    lines = [repr(one) for one in (answer, batch, run)]
    assert all("\n" not in one and len(one) < 120 for one in lines)
    assert lines[0].startswith(f"Answer({answer.action!r}, user='ada', p=")
    assert lines[2] == "Run('r', 2 done, 0 failed, 0 left of 2)"
    assert [line.split()[:2] for line in str(batch).splitlines()[1:3]] == [
        ["0", "ada"],
        ["1", "ada"],
    ]
    assert "With milk, please." in str(batch)
    assert "bob" in str(run)
    assert "<table>" in run._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_cannot_be_pickled_says_what_to_hand_to_a_worker(copied, store: Path) -> None:
    """A simulator and a corpus hold connections; the path of the store is what travels."""
    with UserSimulator.open(store, engine=engine()) as sim:
        for one in (sim, sim.corpus):
            with pytest.raises(ConfigError, match="cannot be pickled or copied") as caught:
                copied(one)
            assert "open(" in caught.value.hint


# ---------------------------------------------------------------------- what is stored


def test_one_argument_says_whether_answers_are_kept(sim: UserSimulator) -> None:
    """All of them keep answers unless they are told not to; a stream when it is whole."""

    def ways(store: bool) -> None:
        sim.respond("Tea?", user_id="ada", store=store)
        sim.respond_many(["Tea?"], user_id="ada", store=store, progress=False)
        assert list(sim.stream("Tea?", user_id="ada", store=store))
        asyncio.run(sim.arespond("Tea?", user_id="ada", store=store))
        asyncio.run(sim.arespond_many(["Tea?"], user_id="ada", store=store))
        asyncio.run(pieces_of(sim, store))

    ways(store=False)
    assert kept(sim) == 0
    ways(store=True)
    assert kept(sim) == 6
    defaults = {
        inspect.signature(getattr(UserSimulator, name)).parameters["store"].default
        for name in ("respond", "respond_many", "stream", "arespond", "arespond_many", "astream")
    }
    assert defaults == {True}


async def pieces_of(sim: UserSimulator, store: bool = False) -> tuple[list[Piece], str]:
    """The pieces of an asynchronous stream, and the answer that they make."""
    stream = sim.astream("Tea?", user_id="ada", seed=5, store=store)
    pieces = [piece async for piece in stream]
    return pieces, stream.answer.action_text


def test_a_stream_that_was_left_early_has_no_answer(sim: UserSimulator) -> None:
    """Nothing of it is stored, and asking for the answer says to draw on."""
    stream = sim.stream("Tea?", user_id="ada")
    next(stream)
    with pytest.raises(ConfigError, match="no answer yet"):
        _ = stream.answer
    stream.close()
    assert kept(sim) == 0


# ---------------------------------------------------------------------- asynchronous twins


def test_the_asynchronous_twins_do_what_the_others_do(sim: UserSimulator) -> None:
    """One answer, many, a stream, a run and a dialogue, without blocking the loop."""

    async def all_of():
        one = await sim.arespond("Tea?", user_id="ada", seed=5)
        many = await sim.arespond_many(["Tea?"], user_id="ada", seed=5)
        pieces, streamed = await pieces_of(sim)
        run = await sim.arun([("ada", "Tea?")], name="r", seed=5)
        return one, many[0], pieces, streamed, run

    one, many, pieces, streamed, run = asyncio.run(all_of())
    assert one.action == many.action == streamed
    assert [(item.request.user_id, a.action) for item, a in run.answers()] == [("ada", one.action)]
    assert pieces == list(sim.stream("Tea?", user_id="ada", seed=5))
    for name in ("respond", "respond_many", "stream", "run", "dialogue", "dialogues"):
        twin, other = getattr(UserSimulator, f"a{name}"), getattr(UserSimulator, name)
        assert inspect.signature(twin).parameters == inspect.signature(other).parameters


def test_an_asynchronous_assistant_is_awaited_in_the_callers_loop(sim: UserSimulator) -> None:
    """Its client belongs to the loop that it was made in; a plain one runs beside it."""
    loops: set[object] = set()
    threads: set[object] = set()

    async def waits(_messages: object) -> str:
        loops.add(asyncio.get_running_loop())
        return "Yes."

    def plain(_messages: object) -> str:
        threads.add(threading.current_thread())
        return "Yes."

    async def talk() -> tuple[object, str, str]:
        one = await sim.adialogue(waits, "tea", user_id="ada")
        many = await sim.adialogues(plain, [Scenario(goal="tea", user_id="bob")])
        return asyncio.get_running_loop(), one.assistant, many[0].user_id

    loop, name, user = asyncio.run(talk())
    assert loops == {loop}
    assert threading.main_thread() not in threads
    assert name.endswith("waits")
    assert user == "bob"


def test_leaving_an_asynchronous_stream_gives_the_engine_back(sim: UserSimulator) -> None:
    """A reader who breaks off leaves no thread that holds the engine."""

    async def first() -> Piece:
        stream = sim.astream("Tea?", user_id="ada")
        pieces = stream.__aiter__()
        piece = await pieces.__anext__()
        await pieces.aclose()
        return piece

    assert asyncio.run(first()).part == "reasoning"
    assert sim.respond("Tea?", user_id="ada").action


# ---------------------------------------------------------------------- one preset


def test_one_preset_is_the_default_whatever_the_door(sim: UserSimulator, store: Path) -> None:
    """The constructor, `from_corpus`, `open` and every command take the same one."""
    from typer.main import get_command

    from usersim.cli.app import app

    wanted = PipelineConfig.preset(DEFAULT_PRESET)
    assert UserSimulator(sim.corpus, engine=engine()).config == wanted
    with UserSimulator.open(store) as opened, UserSimulator.from_corpus(ROWS) as loaded:
        assert opened.config == loaded.config == wanted
    presets = {
        option.default
        for command in get_command(app).commands.values()  # type: ignore[attr-defined]
        for option in [
            *command.params,
            *(p for c in getattr(command, "commands", {}).values() for p in c.params),
        ]
        if option.name == "preset"
    }
    assert presets == {DEFAULT_PRESET}


def test_a_survey_takes_everything_that_its_respondents_do(sim: UserSimulator) -> None:
    """Name, seed and chunk of a survey need no detour over `respondents`."""
    survey = Survey(title="Drinks", questions=(YesNo(id="tea", text="Tea?"),))
    told: list[tuple[object, ...]] = []
    found = sim.survey(
        survey, "ada", name="s", seed=4, chunk=1, progress=lambda *at: told.append(at)
    )
    assert found.people == ("ada",)
    assert found.seed == 4
    assert found.runs == ("s-wave-01",)
    assert told[-1] == ("wave 1", 1, 1)
    assert "tea" in str(found)
