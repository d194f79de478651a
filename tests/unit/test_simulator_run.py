"""Runs: what may be asked, what is kept, what is refused, how a run goes on."""

from __future__ import annotations

import csv
import json
import logging
import threading
import tracemalloc
from pathlib import Path

import pytest

from tests.fixtures.people import AGREE, DRINKS, HOBBIES, YEARS, engine, question
from tests.fixtures.runs import (
    CONFIG,
    PEOPLE,
    asked_users,
    fill,
    outcome,
    requests,
    simulator,
    work,
)
from usersim import Corpus, UserSimulator
from usersim.config import SimulationConfig
from usersim.corpus.runs.runs import Runs
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import (
    CapabilityError,
    ConfigError,
    CorpusError,
    EngineUnavailableError,
    ModelLoadError,
    RefusedRowsError,
    UserNotFoundError,
)
from usersim.files import unescape_cell
from usersim.simulation import Answer
from usersim.simulator import face
from usersim.transcript import REASONING_STOP
from usersim.types import Message

HANG = 60
"""Seconds after which something that never comes is given up; no test passes because of it."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of four people."""
    path = tmp_path / "c.db"
    fill(path)
    return path


@pytest.fixture
def sim(store: Path):
    """A simulator of all of them."""
    with simulator(store) as made:
        yield made


# ---------------------------------------------------------------------- asking


def test_every_request_is_answered_once_and_comes_back_in_order(sim: UserSimulator) -> None:
    """Answers come in the order of the requests, as `respond_many` gives them."""
    run = sim.run(requests(200), chunk=16)
    assert (run.status.done, run.status.failed, run.status.left) == (200, 0, 0)
    asked = list(requests(200))
    batch = sim.respond_many([text for _, text in asked], user_id=[user for user, _ in asked])
    assert outcome(run) == [
        (place, user, answer.action, answer.reasoning, answer.trace.seed)
        for place, ((user, _), answer) in enumerate(zip(asked, batch, strict=True))
    ]
    assert len(list(sim.corpus.ledger.responses(run_id=run.id))) == 200


def test_one_persons_requests_are_asked_together(store: Path) -> None:
    """Requests that alternate between people are asked person by person: few adapter swaps."""
    model = engine()
    with simulator(store, model) as sim:
        sim.run(requests(80), chunk=8)
    order = [text.split("Question ")[1].split()[0] for text in asked_users(model)]
    people = [PEOPLE[int(number) % 4] for number in order]
    assert people == sorted(people)


def test_a_finished_run_is_resumed_without_loading_the_model(
    store: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given again, by its requests or by its name, it is handed out at once; a new one loads."""

    def opened() -> UserSimulator:
        return UserSimulator.open(store, model=tiny_model, engine="transformers", config=CONFIG)

    with opened() as sim:
        first = sim.run(requests(3), name="r")
        assert first.status.left == 0

    def load(*_: object, **__: object) -> object:
        raise ModelLoadError("loaded")

    monkeypatch.setattr(face, "load_engine", load)
    with opened() as sim:
        assert sim.run(requests(3), name="r").status == first.status
    with opened() as sim:
        assert sim.run(name="r").id == first.id
    with opened() as sim, pytest.raises(ModelLoadError, match="loaded"):
        sim.run(requests(4), name="more")


def test_every_kind_of_question_may_be_asked(sim: UserSimulator) -> None:
    """Pairs of texts, messages, questions and interactions, and rows, keep their action space."""
    past = next(sim.corpus.interactions(["ada"]))
    spaces = [DRINKS, AGREE, YEARS, HOBBIES]
    asked = [
        ("ada", "Tea?"),
        ("bob", [Message("Hi", "assistant", "bot"), Message("And you?")]),
        *(("cy", question("What then?", space)) for space in spaces),
        ("ada", past),
        {"user_id": "dee", "context": "Which?", "options": ["a", "b"], "metadata": {"wave": 2}},
        {"user_id": "dee", "context": "Again?", "action": "I did that.", "order": 3},
    ]
    sim._engine_choice = engine(action="reading")
    run = sim.run(asked)
    items = {item.place: item for item, _ in run.answers()} | {
        failure.item.place: failure.item for failure in run.failures()
    }
    assert [items[place].request.question.space for place in range(2, 6)] == spaces
    assert items[1].request.question.context[0] == Message("Hi", "assistant", "bot")
    assert items[6].request.before == past.position
    assert items[7].request.metadata == {"wave": 2}
    assert items[8].request.question.space.kind == "free_text"
    (failure,) = run.failures()
    assert failure.item.place == 4
    assert (failure.error, failure.text) == ("ActionError", "reading")
    assert "row 5" in failure.message


def test_a_run_counts_answers_without_readable_reasoning(store: Path, tmp_path: Path) -> None:
    """The status counts them among those done, and every written row says whether it is one."""
    unreadable = engine(
        reasoning=lambda r, i: f"{'' if 'Bad' in str(r.prompt) else 'So it is.'}\n{REASONING_STOP}"
    )
    asked = [("ada", question(text, DRINKS)) for text in ("Bad?", "Good?", "Bad too?")]
    with simulator(store, unreadable) as sim:
        run = sim.run([*asked, ("ada", "Bad and open?")])
        status = run.status
        assert (status.done, status.without_reasoning, status.failed) == (3, 2, 1)
        assert "3 done (2 without readable reasoning), 1 failed" in str(status)
        run.write(tmp_path / "out.jsonl")
        run.write(tmp_path / "out.csv")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row.get("reasoning_failed") for row in rows] == [True, False, True, None]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = [row["reasoning_failed"] for row in csv.DictReader(file)]
    assert cells == ["true", "false", "true", ""]


def test_an_observed_interaction_is_asked_without_its_own_answer(sim: UserSimulator) -> None:
    """History stops before the interaction that is asked again."""
    past = list(sim.corpus.interactions(["ada"], split="train"))[-1]
    ((_, answer),) = sim.run([("ada", past)]).answers()
    assert past.key not in answer.trace.history


def test_bad_rows_are_refused_one_by_one_and_the_good_ones_run(store: Path) -> None:
    """Each refusal names row and field; nothing good is lost."""
    rows: list[object] = [
        ("ada", "Tea?"),
        ("eve", "Tea?"),
        ("ada", " "),
        {"context": "Whose?"},
        {"user_id": "ada", "context": "Which?", "options": ["only"]},
        {"user_id": "ada", "context": [{"content": 3}]},
        "no row",
        ("bob", ["no message"]),
        ("bob", "Tea?"),
    ]
    with simulator(store) as sim:
        run = sim.run(rows)
        assert run.status.done == 2
        assert [row.number for row in run.refused] == [2, 3, 4, 5, 6, 7, 8]
        said = [str(row) for row in run.refused]
    for line, words in zip(
        said,
        ["'eve' is not in the corpus", "is empty", "user_id is missing", "at least two",
         "content 3", "not an object but a str", "is not a message"],
        strict=True,
    ):  # fmt: skip
        assert words in line


def test_one_persons_simulator_asks_that_person_alone(store: Path) -> None:
    """Rows that name nobody are theirs; rows of other people are counted and left out."""
    with simulator(store, user_id="ada") as sim:
        run = sim.run([(None, "Tea?"), ("bob", "Tea?"), {"context": "Now?"}])
        assert [item.request.user_id for item, _ in run.answers()] == ["ada", "ada"]
        assert run.other_users == 1


def test_nothing_to_ask_is_an_error_that_says_why(sim: UserSimulator) -> None:
    """No run is made of refused rows alone."""
    with pytest.raises(RefusedRowsError, match=r"1 row.*\n.*'eve'"):
        sim.run([("eve", "Tea?")])
    with pytest.raises(ConfigError, match="at least 1 request; got 0"):
        sim.run([("ada", "Tea?")], chunk=0)
    assert sim.corpus.runs.all() == []


def test_a_dry_run_counts_and_leaves_nothing(store: Path) -> None:
    """Requests, prompt tokens and an upper bound of drawn tokens, without a call of the model."""
    model = engine()
    with simulator(store, model) as sim:
        cost = sim.dry_run([*requests(10), ("ada", question("Tea?", DRINKS)), ("eve", "?")])
        assert model.calls == 0
        assert sim.corpus.runs.all() == []
        drawn = CONFIG.simulation.max_reasoning_tokens * 11
        assert cost.drawn_tokens == drawn + CONFIG.simulation.max_action_tokens * 10
        assert (cost.requests, len(cost.refused)) == (11, 1)
        first = sim.asker().prepared("ada", question("Question 0 of the run?"), before=None)
        one = sim.dry_run(requests(1))
        text = first.prompt(CONFIG.history)
        assert one.prompt_tokens == sum(model.count_tokens(content) for _, content in text)
        run = sim.run(requests(10))
    answer = next(run_answers(store, run.name))
    assert answer.simulated is True
    assert "at most" in str(cost)


def run_answers(store: Path, name: str):
    """The answers of a run, from a store opened anew."""
    with Corpus.open(store) as corpus:
        record = corpus.runs.find(name)
        assert record is not None
        yield from [Answer.from_dict(row.record) for row in corpus.runs.answers(record.id)]


def test_an_answer_comes_back_as_it_was(sim: UserSimulator) -> None:
    """Plain data and back is the identity, for every kind of action."""
    for space in (DRINKS, AGREE, None):
        asked = question("What?", space) if space else "What?"
        answer = sim.respond(asked, user_id="ada", explain=space is DRINKS)
        assert Answer.from_dict(json.loads(answer.to_json())) == answer
    picked = Answer(action=("a", "b"), kind="multi_choice", reasoning="", trace=answer.trace)
    assert Answer.from_dict(picked.to_dict()) == picked


# ---------------------------------------------------------------------- going on


def test_the_same_call_does_no_work_twice(store: Path) -> None:
    """A finished run is told by what it asks: repeated, it asks nothing."""
    with simulator(store) as sim:
        first = sim.run(requests(20))
    model = engine()
    with simulator(store, model) as sim:
        again = sim.run(requests(20))
        assert (again.id, again.name, model.calls) == (first.id, first.name, 0)
        assert sim.run(name=first.name).id == first.id


@pytest.mark.parametrize(
    ("fields", "n", "how", "said"),
    [
        ({"config": CONFIG.model_copy(update={"simulation": SimulationConfig(traces=2)})}, 20, {},
         ["simulation.traces was 1 and is 2", "simulation.redraws was 0 and is 2"]),
        ({"model": ScriptedEngine(name="other")}, 20, {}, ["engine was", "'other@"]),
        ({}, 20, {"seed": 5}, ["seed was 0 and is 5"]),
        ({}, 21, {}, ["number of requests was 20 and is 21", "requests was"]),
    ],
)  # fmt: skip
def test_a_run_that_was_begun_otherwise_is_refused(store: Path, fields, n, how, said) -> None:
    """The error names every field with its old and new value, and nothing is asked."""
    with simulator(store) as sim:
        sim.run(requests(20), name="wave")
    fields = dict(fields)
    with simulator(store, fields.pop("model", engine()), **fields) as sim:
        with pytest.raises(
            ConfigError, match="run 'wave' was started with different settings"
        ) as caught:
            sim.run(requests(n), name="wave", **how)
        for words in said:
            assert words in str(caught.value)
        assert "another name" in caught.value.hint
        assert [one.name for one in sim.corpus.runs.all()] == ["wave"]
        if "seed" not in how:
            return
        with pytest.raises(ConfigError, match="seed was 0"):
            sim.run(name="wave", **how)
        assert sim.run(requests(n), name="wave 2", **how).status.done == 20


def test_only_a_stored_run_goes_on_without_its_requests(sim: UserSimulator) -> None:
    """A name that is unknown, none at all, and a list that was stored in part, are errors."""
    with pytest.raises(ConfigError, match="'x'"):
        sim.run(name="x")
    with pytest.raises(ConfigError, match="neither requests nor the name"):
        sim.run()
    sim.corpus.runs.begin("half", "f", {})
    with pytest.raises(ConfigError, match="'half'"):
        sim.run(name="half")


def test_a_stored_run_with_damaged_settings_says_what_is_missing(sim: UserSimulator) -> None:
    """It could not be told from a run of other requests."""
    sim.run(requests(2), name="wave")
    with sim.corpus.runs._database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET config = '{}' WHERE name = 'wave'")
    with pytest.raises(CorpusError, match="'wave' does not say its requests and number of"):
        sim.run(name="wave")


def test_an_engine_that_goes_away_ends_the_run_with_what_is_done(store: Path) -> None:
    """The error says how far the run is; with the engine back, only the rest is asked."""
    with (
        simulator(store, engine(fail_after=6)) as sim,
        pytest.raises(
            EngineUnavailableError, match="stopped, 24 done, 0 failed, 16 left"
        ) as caught,
    ):
        sim.run(requests(40), name="r", chunk=8)
    assert "repeat the same call" in caught.value.hint
    model = engine()
    with simulator(store, model) as sim:
        assert sim.run(requests(40), name="r").status.done == 40
    assert len(asked_users(model)) == 16


def test_what_an_engine_cannot_do_is_told_at_once(store: Path) -> None:
    """An error that no repetition mends comes as it is, and the claims are given back."""
    mute = engine(capabilities=engine().capabilities.__class__(logprobs=False, adapters=False))
    with simulator(store, mute) as sim:
        with pytest.raises(CapabilityError, match="logprobs"):
            sim.run([("ada", question("Tea?", DRINKS))], name="r")
        run = sim.corpus.runs.find("r")
        assert len(sim.corpus.runs.claim(run.id, "me", limit=5, seconds=9)) == 1


def test_a_person_forgotten_in_the_middle_takes_their_items_along(store: Path) -> None:
    """The run goes on with the others and ends; nothing of the person is left in it."""
    with simulator(store) as sim:

        def forget(_stage: str, done: int, _total: int) -> None:
            if done == 8 and "dee" in sim.users:
                removal = sim.corpus.forget("dee")
                assert removal.run_items == 10

        run = sim.run(requests(40), chunk=8, progress=forget)
        assert (run.status.done, run.status.left, run.status.forgotten) == (30, 0, 10)
        assert {item.request.user_id for item, _ in run.answers()} == {"ada", "bob", "cy"}
        assert sim.run(name=run.name).status.total == 40


def test_a_person_forgotten_while_being_asked_has_no_answer(store: Path) -> None:
    """Between claim and answer: the items vanish, and so does what would have been stored."""
    with simulator(store) as sim:
        gone = []

        def reply(request, index):
            if not gone:
                gone.append(sim.corpus.forget("ada"))
            return "A thought.\n</think>"

        sim._engine_choice = engine(reasoning=reply)
        run = sim.run([("ada", f"Question {i}?") for i in range(4)] + [("bob", "Tea?")], chunk=4)
        assert [item.request.user_id for item, _ in run.answers()] == ["bob"]
        with pytest.raises(UserNotFoundError):
            sim.corpus.forget("ada")


def test_the_progress_counts_from_what_is_done(store: Path) -> None:
    """The first report says what an earlier call did, the last one everything."""
    with simulator(store, engine(fail_after=4)) as sim, pytest.raises(EngineUnavailableError):
        sim.run(requests(40), name="r", chunk=8)
    told = []
    with simulator(store) as sim:
        sim.run(requests(40), name="r", chunk=8, progress=lambda *at: told.append(at))
    assert told[0] == ("answer", 16, 40)
    assert told[-1] == ("answer", 40, 40)


# ---------------------------------------------------------------------- claims


def claims(tmp_path: Path, n: int = 6):
    """A run of `n` items and a clock that the test turns."""
    fill(tmp_path / "claims.db")
    corpus = Corpus.open(tmp_path / "claims.db")
    now = [1000.0]
    corpus.runs = Runs(corpus._database, clock=lambda: now[0])
    run = corpus.runs.begin("r", "f", {"a": 1.5})
    corpus.runs.fill(run.id, corpus.requests(requests_rows(n)).lines())
    return corpus, run.id, now


def requests_rows(n: int) -> list[dict[str, object]]:
    """The same requests as rows."""
    return [{"user_id": user, "context": text} for user, text in requests(n)]


def test_two_clients_never_hold_the_same_item(tmp_path: Path) -> None:
    """Claims are disjoint while they count; one that ran out is taken over for good."""
    from usersim.corpus import Response

    corpus, run, now = claims(tmp_path)
    first = corpus.runs.claim(run, "a", limit=4, seconds=10)
    second = corpus.runs.claim(run, "b", limit=4, seconds=10)
    places = {one.place for one in first}
    assert len(places) == 4
    assert places.isdisjoint(one.place for one in second)
    assert corpus.runs.claim(run, "c", limit=4, seconds=10) == []
    now[0] += 6
    assert corpus.runs.extend(run, "b", seconds=10) == 2
    now[0] += 6
    taken = corpus.runs.claim(run, "c", limit=9, seconds=10)
    assert {one.place for one in taken} == places
    answer = Response(user_id="ada", question_key="q", record={"by": "?"})
    assert corpus.runs.finish(run, "a", dict.fromkeys(places, answer)) == 0
    assert corpus.runs.finish(run, "c", dict.fromkeys(places, answer)) == 4
    assert corpus.runs.finish(run, "c", dict.fromkeys(places, answer)) == 0
    corpus.runs.release(run, "b")
    assert len(corpus.runs.claim(run, "d", limit=9, seconds=10)) == 2
    assert len(list(corpus.runs.answers(run))) == 4
    corpus.close()


def test_a_result_that_came_too_late_is_left_to_the_other_client(store: Path, caplog) -> None:
    """A claim that ran out and was taken: nothing is stored twice, and the log says so."""
    with simulator(store) as sim:
        done = []

        def reply(request, index):
            if not done:  # another client takes the claim and finishes first
                done.append(True)
                with simulator(store) as other:
                    later = Runs(other.corpus._database, clock=lambda: 1e12)
                    items = later.claim(1, "other", limit=9, seconds=9)
                    _, answers = other.asker().answered(other.engine, [
                        other.asker().prepared(i.request.user_id, i.request.question, before=None)
                        for i in items
                    ])  # fmt: skip
                    places = [item.place for item in items]
                    assert later.finish(1, "other", dict(zip(places, answers, strict=True))) == 4
            return "A thought.\n</think>"

        sim._engine_choice = engine(reasoning=reply)
        with caplog.at_level(logging.WARNING, "usersim"):
            run = work(sim, 4, lease=1000.0)
        assert "4 of 4 results were not stored" in caplog.text
        assert run.status.done == len(list(run.answers())) == 4


def test_a_client_at_work_extends_its_claim(store: Path) -> None:
    """An answer that takes longer than a claim counts is not lost to another client."""
    now, extended = [1000.0], threading.Semaphore(0)

    class Turned(Runs):
        """Runs whose clock the test turns, and that say when claims were extended."""

        def extend(self, *args, **how) -> int:
            found = super().extend(*args, **how)
            extended.release()
            return found

    with simulator(store) as sim:
        sim.corpus.runs = Turned(sim.corpus._database, clock=lambda: now[0])
        taken = []

        def reply(request, index):
            for _ in range(5):
                now[0] += 0.2
                # The first extension may have begun before the clock was turned.
                assert extended.acquire(timeout=HANG)
                assert extended.acquire(timeout=HANG)
                taken.extend(sim.corpus.runs.claim(1, "thief", limit=9, seconds=9))
            return "A thought.\n</think>"

        sim._engine_choice = engine(reasoning=reply)
        run = work(sim, 1, lease=0.3)
        assert taken == []
        assert run.status.done == 1


def test_claims_that_cannot_be_extended_are_logged(store: Path, caplog, monkeypatch) -> None:
    """A store that does not answer for a moment ends nothing; `finish` decides."""
    tried = threading.Event()

    def broken(*_, **__):
        tried.set()
        raise CorpusError("the store does not answer")

    def reply(*_) -> str:
        assert tried.wait(HANG)
        return "A thought.\n</think>"

    with simulator(store) as sim, caplog.at_level(logging.WARNING, "usersim"):
        sim.corpus.runs = Runs(sim.corpus._database, clock=lambda: 1000.0)
        sim._engine_choice = engine(reasoning=reply)
        monkeypatch.setattr(Runs, "extend", broken)
        assert work(sim, 1, lease=0.3).status.done == 1
    assert "claims could not be extended: the store does not answer" in caplog.text


# ---------------------------------------------------------------------- results


def test_results_are_written_marked_as_simulated(sim: UserSimulator, tmp_path: Path) -> None:
    """JSON Lines and CSV hold answers and failures in the order of the requests."""
    sim._engine_choice = engine(action=lambda request, _: "")
    run = sim.run([("bob", "Open?"), ("ada", question("Tea?", DRINKS)), ("cy", "Open?")])
    lines = tmp_path / "out.jsonl"
    assert run.write(lines) == 3
    rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert all(row["simulated"] is True for row in rows)
    assert [row.get("error") for row in rows] == ["ActionError", None, "ActionError"]
    assert rows[1]["action"] in DRINKS.options
    assert list(rows[1]["probabilities"]) == list(DRINKS.options)
    run.write(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["simulated"] for row in cells] == ["true"] * 3
    assert json.loads(cells[1]["options"]) == list(DRINKS.options)
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == [
        "out.csv",
        "out.jsonl",
    ]
    with pytest.raises(CorpusError, match="cannot be written to"):
        run.write(tmp_path / "no" / "out.jsonl")


def test_a_run_as_a_table_computes_nothing(sim: UserSimulator, tmp_path: Path) -> None:
    """A drawn text that a spreadsheet would run is escaped, and stays one row."""
    drawn = '=HYPERLINK("http://x.test")\rnext'
    sim._engine_choice = engine(action=lambda request, _: drawn)
    run = sim.run([("ada", "Open?")])
    run.write(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["action"].startswith("'=HYPERLINK")
    assert unescape_cell(row["action"]) == next(run.answers())[1].action
    parquet = pytest.importorskip("pyarrow.parquet")
    assert run.write(tmp_path / "out.parquet") == 1
    assert parquet.read_table(tmp_path / "out.parquet")["simulated"].to_pylist() == [True]


def peak(n: int, store: Path) -> int:
    """Peak memory of asking `n` requests and reading the answers back, bytes."""

    class Forgetful(ScriptedEngine):
        """Keeps no record of what it was asked."""

        def _take(self, asked):
            super()._take(asked)
            self._requests.clear()

    def reply(request, index):
        return "A thought.\n</think>" if request.stop else "Yes."

    with simulator(store, Forgetful(reply)) as sim:
        tracemalloc.start()
        run = sim.run(requests(n), name=str(n))
        assert sum(1 for _ in run.answers()) == n
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return highest


@pytest.mark.slow
def test_memory_is_flat_whatever_the_number_of_requests(store: Path) -> None:
    """Eight times the requests take no more than a fifth more memory, beyond one page of both."""
    peak(200, store)  # what is loaded and cached once
    small, large = peak(1_000, store), peak(8_000, store)
    assert large < 1.2 * small, (small, large)


def test_requests_that_fill_the_disk_are_a_clear_error(sim: UserSimulator, monkeypatch) -> None:
    """The temporary file of the requests cannot grow: the message says where it lies."""
    import tempfile

    class Full(tempfile.SpooledTemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("usersim.corpus.runs.requests.tempfile.SpooledTemporaryFile", Full)
    with pytest.raises(CorpusError, match="No space left") as caught:
        sim.run(requests(3))
    assert "TMPDIR" in caught.value.hint


def test_an_item_of_nobody_fails_and_the_run_ends(store: Path) -> None:
    """An older release could leave a request under another's name: it is closed, not kept open."""
    with simulator(store) as sim:
        run = sim.corpus.runs.begin(
            "r", "f", sim._runner(None, 8).settings({"requests": "", "number of requests": 1})
        )
        line = next(sim.corpus.requests([{"user_id": "ada", "context": "Tea?"}]).lines())
        sim.corpus.runs.fill(run.id, iter([line]))
        with sim.corpus._database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE run_items SET request = replace(request, 'ada', 'nobody')"
            )
        again = sim.run(name="r")
        assert (again.status.failed, again.status.left) == (1, 0)
        (failure,) = again.failures()
        assert (failure.error, failure.item.request.user_id) == ("UserNotFoundError", "nobody")


def test_an_answer_that_cannot_be_read_back_is_a_typed_error(store: Path) -> None:
    """The store holds JSON that is no answer: the error says where, and quotes nothing of it."""
    with simulator(store) as sim:
        run = sim.run([("ada", "Tea?")], name="r")
        with sim.corpus._database.write() as connection:
            connection.exec_driver_sql('UPDATE responses SET record = \'{"action": "secret"}\'')
        with pytest.raises(CorpusError, match="a stored answer cannot be read") as caught:
            list(run.answers())
    assert "secret" not in str(caught.value)
