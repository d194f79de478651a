"""The face: sources, people, questions, history, memory, the ledger, saving and loading."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.fixtures.people import AGREE, DRINKS, TEXT, YEARS, engine, person, question
from usersim import Corpus, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig, SynthesisConfig
from usersim.engines import GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import (
    ActionError,
    ArgumentError,
    ArtifactError,
    ConfigError,
    EmptySplitError,
    EngineError,
    EvaluationError,
    RefusedRowsError,
    UserForgottenError,
    UserNotFoundError,
    UsersimError,
)
from usersim.simulator import face
from usersim.simulator.asking import as_question
from usersim.simulator.history import Histories, profile_of
from usersim.simulator.measure import pick_held_out
from usersim.types import Interaction, Message, Question

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=3, evidence=2),
    synthesis=SynthesisConfig(n_forward=2, n_backward=1),
    simulation=SimulationConfig(traces=2, redraws=0),
)
PEOPLE = [*person("ada", 15), *person("bob", 10, "market")]


def simulator(rows=None, *, model=None, **fields) -> UserSimulator:
    """A simulator over invented people with a scripted engine."""
    fields = {"config": CONFIG, **fields}
    return UserSimulator.from_corpus(
        PEOPLE if rows is None else rows, engine=model or engine(), **fields
    )


@pytest.fixture
def sim():
    """Two people in memory."""
    with simulator() as made:
        yield made


@pytest.fixture
def ada():
    """One of the two."""
    with simulator(user_id="ada") as made:
        yield made


# ---------------------------------------------------------------------- sources


def test_a_file_is_stored_beside_itself(tmp_path: Path) -> None:
    """A JSONL file gets a store of its own name; what was read and refused is told."""
    source = tmp_path / "people.jsonl"
    rows = [*PEOPLE, {"user_id": "ada", "context": "No action?"}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with simulator(source) as made:
        assert made.report.kept == 25
        assert [refused.number for refused in made.report.refused] == [26]
        assert made.users == ["ada", "bob"]
    assert (tmp_path / "people.usersim.db").is_file()


@pytest.mark.parametrize(
    "source", [lambda: iter(PEOPLE), lambda: pd.DataFrame(PEOPLE)], ids=["iterable", "frame"]
)
def test_rows_in_memory_stay_there(source, tmp_path, monkeypatch) -> None:
    """An iterable and a data frame are read alike, and write no file."""
    monkeypatch.chdir(tmp_path)
    with simulator(source()) as made:
        assert made.report.kept == 25
        assert made.respond("Tea?", user_id="bob").action == "With milk, please."
    assert list(tmp_path.iterdir()) == []


def test_an_open_corpus_is_used_as_it_is() -> None:
    """Nothing is loaded from an open corpus, so there is no report."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(PEOPLE)
        made = simulator(corpus, user_id="bob")
        assert made.report is None
        assert made.corpus is corpus
        assert made.users == ["bob"]


def test_strict_keeps_nothing_of_a_bad_source() -> None:
    """With `strict` a refused row is an error."""
    with pytest.raises(RefusedRowsError, match="row 26"):
        simulator([*PEOPLE, {"user_id": "ada"}], strict=True)


def test_a_preset_is_a_config_by_name() -> None:
    """`config="tiny"` is the preset, and an unknown name is an error."""
    with simulator(config="tiny") as made:
        assert made.config == PipelineConfig.preset("tiny")
    with pytest.raises(ConfigError, match="'huge'"):
        simulator(config="huge")


# ---------------------------------------------------------------------- people


def test_an_unknown_person_is_named_with_close_matches(sim: UserSimulator) -> None:
    """A misspelled id is an error that lists who is there, before and after loading."""
    with pytest.raises(UserNotFoundError, match="'adda'") as caught:
        sim.respond("Tea?", user_id="adda")
    assert "ada" in f"{caught.value} {caught.value.hint}"
    with pytest.raises(UserNotFoundError, match="'adda'"):
        UserSimulator(sim.corpus, user_id="adda", engine=engine())


def test_an_unknown_person_is_noticed_without_any_history_too() -> None:
    """Where no history is shown, the person still has to exist."""
    bare = CONFIG.model_copy(update={"history": HistoryConfig(recent=0, evidence=0)})
    model = engine()
    with simulator(config=bare, model=model) as made:
        with pytest.raises(UserNotFoundError, match="'adda'"):
            made.respond("Tea?", user_id="adda")
        assert model.calls == 0


def test_several_people_and_none_named(sim: UserSimulator) -> None:
    """Whose answer is wanted has to be said where there are several."""
    with pytest.raises(ConfigError, match="holds 2 people") as caught:
        sim.respond("Tea?")
    assert "user_id=" in caught.value.hint


def test_the_only_person_need_not_be_named() -> None:
    """One person in the corpus is meant."""
    with simulator(person("ada", 4)) as made:
        assert made.respond("Tea?").trace.user_id == "ada"


def test_an_empty_corpus_has_nobody_to_ask() -> None:
    """Neither answering nor learning is possible, and both say so."""
    with Corpus.open(":memory:") as corpus, simulator(corpus) as made:
        with pytest.raises(ConfigError, match="holds 0 people"):
            made.respond("Tea?")
        with pytest.raises(EmptySplitError, match="no training data"):
            made.reconstruct()
        with pytest.raises(EvaluationError, match="none of the 0 users"):
            pick_held_out(made.corpus, made.users, None)


def test_each_context_has_its_person(sim: UserSimulator) -> None:
    """One person for all, or one for each."""
    batch = sim.respond_many(["Tea?", "Rain?"], user_id=["bob", "ada"])
    assert [answer.trace.user_id for answer in batch] == ["bob", "ada"]
    with pytest.raises(ConfigError, match="1 person for 2 contexts"):
        sim.respond_many(["Tea?", "Rain?"], user_id=["bob"])


# ---------------------------------------------------------------------- questions


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "free_text"),
        ({"options": ["a", "b"]}, "choice"),
        ({"options": ["a", "b"], "kind": "scale"}, "scale"),
        ({"options": ["a", "b"], "kind": "multi_choice"}, "multi_choice"),
        ({"kind": "number"}, "number"),
    ],
)
def test_options_and_kind_say_what_an_answer_may_be(fields, kind) -> None:
    """Options alone make a choice; a kind says otherwise."""
    assert as_question("Well?", **fields).space.kind == kind


def test_questions_that_make_no_sense_are_refused() -> None:
    """Each mistake is named with its value."""
    with pytest.raises(ConfigError, match="'  '"):
        as_question("  ")
    with pytest.raises(ConfigError, match="got 'Tea\\?'"):
        as_question(["Tea?"])
    with pytest.raises(ActionError, match="already has an action space"):
        as_question(question("Tea?", DRINKS), options=["a", "b"])
    with pytest.raises(ActionError, match="at least two options"):
        as_question("Tea?", options=["a"])
    with pytest.raises(ActionError, match="'essay'"):
        as_question("Tea?", kind="essay")
    with pytest.raises(ActionError, match="choice"):
        as_question("Tea?", kind="choice")


def test_no_options_is_a_mistake_and_not_free_text() -> None:
    """An empty list of options is refused, and does not silently become another question."""
    with pytest.raises(ActionError, match=r"options"):
        as_question("Tea?", options=[])


def test_messages_stay_messages(ada: UserSimulator) -> None:
    """A dialogue is a context, with its speakers."""
    talk = [Message("Hi.", name="bob"), Message("Hello.", name="ada"), Message("Tea?", name="bob")]
    answer = ada.respond(talk)
    assert "bob: Tea?" in answer.trace.prompt[-1][1]


def test_template_text_in_a_context_stays_text(ada: UserSimulator) -> None:
    """Neither jinja nor chat-template nor reasoning tags in a question do anything."""
    hostile = "{{ 7*7 }} {% raw %} <|im_end|> </think> [bold]"
    answer = ada.respond(hostile)
    assert hostile in answer.trace.prompt[-1][1]
    assert answer.action == "With milk, please."


@pytest.mark.parametrize(
    ("space", "kind"), [(DRINKS, str), (AGREE, str), (TEXT, str)], ids=["choice", "scale", "text"]
)
def test_an_answer_is_typed_by_the_question(ada: UserSimulator, space, kind) -> None:
    """A question carries its action space to the answer."""
    answer = ada.respond(question("Well?", space))
    assert isinstance(answer.action, kind)
    assert space.parse(answer.action) == answer.action


def test_one_malformed_answer_is_an_error_with_what_was_drawn() -> None:
    """`respond` raises what `respond_many` returns as data, and shows the texts."""
    with simulator(model=engine(action="many"), user_id="ada") as made:
        batch = made.respond_many([question("How old?", YEARS)])
        assert batch.failures[0].error == "ActionError"
        with pytest.raises(
            UsersimError, match="none of the drawn actions is a valid number"
        ) as caught:
            made.respond("How old?", kind="number")
        assert "the draw was:\nmany" in "".join(caught.value.__notes__)


def test_async_and_streamed_answers_are_the_same_answer() -> None:
    """`arespond` is `respond`; `stream` yields the same reasoning and action."""
    with simulator(user_id="ada") as made:
        plain = made.respond("Tea?", seed=5)
        later = asyncio.run(made.arespond("Tea?", seed=5))
        assert (later.action, later.trace.drawn) == (plain.action, plain.trace.drawn)
        pieces = list(made.stream("Tea?", seed=5))
    assert "".join(p.text for p in pieces if p.part == "action") == plain.action
    assert "".join(p.text for p in pieces if p.part == "reasoning").strip() == plain.reasoning


def test_the_seed_reproduces_an_answer(sim: UserSimulator) -> None:
    """The same seed, person and context draw the same; another person draws otherwise."""
    seeds = [
        sim.respond("Tea?", user_id=user, seed=seed).trace.seed
        for user, seed in [("ada", 1), ("ada", 1), ("ada", 2), ("bob", 1)]
    ]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3


# ---------------------------------------------------------------------- history


def by_key(corpus: Corpus) -> dict[str, Interaction]:
    """Every interaction of a corpus."""
    return {i.key: i for i in corpus.interactions()}


@pytest.mark.parametrize("recent", [0, 1, 3, 8])
@pytest.mark.parametrize("similar", [0, 2, 20])
def test_no_held_out_row_is_ever_shown(recent: int, similar: int) -> None:
    """Whatever is asked, the history is the person's own and of the train split."""
    config = CONFIG.model_copy(update={"history": HistoryConfig(recent=recent, evidence=similar)})
    with simulator(config=config) as made:
        rows = by_key(made.corpus)
        held_out = [i for i in rows.values() if i.split == "held_out"]
        batch = made.respond_many(held_out, user_id=[i.user_id for i in held_out])
        assert held_out
        for asked, answer in zip(held_out, batch.items, strict=True):
            shown = [rows[key] for key in answer.trace.history]
            assert len(shown) <= recent + similar
            assert bool(shown) == bool(recent + similar)
            assert {past.split for past in shown} <= {"train"}
            assert {past.user_id for past in shown} <= {asked.user_id}
            assert all(past.position < asked.position for past in shown)
            text = answer.trace.prompt[-1][1]
            assert not any(i.action_text in text for i in held_out if i.space == TEXT)


@pytest.mark.parametrize("recent", [0, 1, 2, 3, 5, 8])
def test_training_pairs_see_strictly_earlier_rows_alone(recent: int) -> None:
    """The history of an observed pair ends before it, and most of the window is filled."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 40))
        histories = Histories(corpus, HistoryConfig(recent=recent, evidence=2))
        for row in corpus.interactions(["ada"], split="train"):
            shown = histories.of("ada", row.question, before=row.position)
            assert all(past.position < row.position for past in shown)
            assert len({past.key for past in shown}) == len(shown)
            if row.position > 12:
                assert len(shown) > recent // 2


def test_neighboring_pairs_share_the_beginning_of_their_history() -> None:
    """The window of recent rows moves in steps, so that prompts share what engines cache."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 60))
        histories = Histories(corpus, HistoryConfig(recent=8, evidence=0))
        firsts = [
            histories.of("ada", row.question, before=row.position)[0].position
            for row in corpus.interactions(["ada"], split="train")
            if row.position > 8
        ]
    assert len(set(firsts)) <= len(firsts) // 4 + 1


def test_a_held_out_answer_is_asked_after_the_newest_train_rows_however_late_it_is() -> None:
    """The recent rows stay in the prompt: the train split ends before the held-out position."""
    with Corpus.open(":memory:") as corpus:
        corpus.add(person("ada", 60))
        histories = Histories(corpus, HistoryConfig(recent=4, evidence=2))
        newest = corpus.history("ada")[-1]
        held_out = list(corpus.interactions(["ada"], split="held_out"))
        assert held_out[-1].position > newest.position + 4
        for row in held_out:
            shown = histories.shown("ada", row.question, before=row.position)
            assert len(shown.recent) >= 2
            assert shown.recent[-1] == newest


def test_a_profile_holds_what_stays_the_same() -> None:
    """Short, constant metadata are facts; what changes, long texts and flags are not."""
    rows = [
        {
            **row,
            "metadata": {"city": "Graz", "mood": row["order"], "cv": "x" * 90, "vip": True},
        }
        for row in person("ada", 6)
    ]
    with Corpus.open(":memory:") as corpus:
        corpus.add(rows)
        history = corpus.history("ada")
    assert profile_of(history) == "city: Graz"
    assert profile_of([]) is None


# ---------------------------------------------------------------------- memory of traces


def thoughtful(**fields):
    """An engine whose traces make the free-text answers of `person` likelier."""
    return engine(reasoning="It says fine to me on such a day.", **fields)


def test_kept_traces_become_demonstrations() -> None:
    """After `reconstruct` the prompts show past answers with their kept traces and gains."""
    with simulator(person("ada", 15), model=thoughtful()) as made:
        before = made.respond("Tea?")
        found = made.reconstruct()
        after = made.respond("Tea?")
    assert found.kept > 0
    assert before.trace.kept_gains == {}
    assert "It says fine" not in str(before.trace.prompt)
    assert set(after.trace.kept_gains) <= set(after.trace.history)
    assert after.trace.kept_gains
    assert str(after.trace.prompt).count("It says fine") == len(after.trace.kept_gains)
    assert all(map(math.isfinite, after.trace.kept_gains.values())), "gains of either sign"


def test_reconstruction_covers_the_newest_rows_of_the_train_split(sim: UserSimulator) -> None:
    """`limit` takes the newest interactions of each person, none of them held out."""
    found = sim.reconstruct(limit=3)
    rows = by_key(sim.corpus)
    chosen = [rows[i.key] for i in found.interactions]
    assert {i.split for i in chosen} == {"train"}
    for user in ("ada", "bob"):
        own = [i.position for i in rows.values() if i.user_id == user and i.split == "train"]
        assert [i.position for i in chosen if i.user_id == user] == sorted(own)[-3:]
    assert set(found.selections) == {i.key for i in chosen}


def test_a_finished_reconstruction_costs_nothing_again() -> None:
    """The second call asks the engine for nothing and finds the same."""
    model = thoughtful()
    with simulator(person("ada", 15), model=model) as made:
        first = made.reconstruct()
        calls = model.calls
        told: list[tuple[str, int, int]] = []
        assert made.reconstruct(progress=lambda *step: told.append(step)) == first
    assert model.calls == calls
    assert told == [("synthesize", 12, 12), ("score", 12, 12)]


def test_other_settings_are_other_work() -> None:
    """Changed synthesis settings draw again; changed guards score the same candidates again."""
    with simulator(person("ada", 15), model=thoughtful()) as made:
        made.reconstruct()

        def generated(config: PipelineConfig) -> int:
            model = thoughtful()
            UserSimulator(made.corpus, engine=model, config=config).reconstruct()
            return sum(isinstance(one, GenerateRequest) for one in model.requests)

        guards = CONFIG.guards.model_copy(update={"copy_run": 3})
        assert generated(CONFIG.model_copy(update={"guards": guards})) == 0
        drawn = CONFIG.synthesis.model_copy(update={"seed": 1})
        assert generated(CONFIG.model_copy(update={"synthesis": drawn})) > 0


# ---------------------------------------------------------------------- the ledger


def test_answers_are_stored_and_forgotten(sim: UserSimulator) -> None:
    """Every answer is kept under its person, marked as simulated; `forget` removes them."""
    sim.respond("Tea?", user_id="ada")
    sim.respond_many(["Tea?", "Rain?"], user_id="bob")
    stored = list(sim.corpus.ledger.responses())
    assert [one.user_id for one in stored] == ["ada", "bob", "bob"]
    assert all(one.record["simulated"] is True for one in stored)
    assert stored[0].record["action"] == "With milk, please."
    removal = sim.corpus.forget("bob")
    assert removal.responses == 2
    assert [one.user_id for one in sim.corpus.ledger.responses()] == ["ada"]
    with pytest.raises(UserNotFoundError, match="'bob'"):
        sim.respond("Tea?", user_id="bob")


def test_forgetting_removes_the_traces(sim: UserSimulator) -> None:
    """Candidates and decisions go with the person, and no prompt shows them afterwards."""
    sim.reconstruct()
    removal = sim.corpus.forget("ada")
    assert removal.candidates > 0
    assert removal.selections > 0
    assert all("ada" not in text for _, text in sim.respond("Tea?").trace.prompt)


def test_answers_of_a_person_who_is_forgotten_meanwhile_are_failures() -> None:
    """The others' are kept; one answer alone is an error that names the person."""
    gone = []

    def reply(request, index):
        if not gone:
            gone.append(sim.corpus.forget("ada"))
        return "A thought.\n</think>"

    with simulator(model=engine(reasoning=reply)) as sim:
        batch = sim.respond_many(["Tea?", "Tea?"], user_id=["ada", "bob"])
        assert [answer is None for answer in batch.items] == [True, False]
        (failure,) = batch.failures
        assert (failure.index, failure.item, failure.error) == (0, "ada", "UserForgottenError")
        assert [one.user_id for one in sim.corpus.ledger.responses()] == ["bob"]
        sim.corpus.add(person("ada", 3))
        gone.clear()
        with pytest.raises(UserForgottenError, match="'ada'"):
            sim.respond("Tea?", user_id="ada")


def test_reconstruction_stops_for_a_person_who_is_forgotten() -> None:
    """The error names the person; the same call again goes on with the others."""
    gone = []

    def reply(request, index):
        if not gone:
            gone.append(sim.corpus.forget("ada"))
        return "A thought.\n</think>"

    with simulator(model=engine(reasoning=reply)) as sim:
        with pytest.raises(UserForgottenError, match="'ada'"):
            sim.reconstruct()
        assert {one.user_id for one in sim.reconstruct().interactions} == {"bob"}


# ---------------------------------------------------------------------- save and load


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file of two people."""
    source = tmp_path / "people.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE), encoding="utf-8")
    return source


def test_a_saved_simulator_comes_back(stored: Path, tmp_path: Path) -> None:
    """Person, settings and answers are the same after loading; the corpus is not copied."""
    with simulator(stored, user_id="ada") as made:
        first = made.respond("Tea?", seed=3)
        folder = made.save(tmp_path / "saved")
    assert [file.name for file in folder.iterdir()] == ["simulator.json"]
    with UserSimulator.load(folder, engine=engine()) as back:
        assert (back.user_id, back.config, back.users) == ("ada", CONFIG, ["ada"])
        again = back.respond("Tea?", seed=3)
    assert (again.action, again.trace.prompt) == (first.action, first.trace.prompt)


def test_a_saved_simulator_remembers_its_traces(stored: Path, tmp_path: Path) -> None:
    """The kept traces that stood in its prompts stand there again."""
    with simulator(stored, model=thoughtful(), user_id="ada") as made:
        made.reconstruct()
        first = made.respond("Tea?")
        made.save(tmp_path / "saved")
    assert first.trace.kept_gains
    with UserSimulator.load(tmp_path / "saved", engine=thoughtful()) as back:
        assert back.respond("Tea?").trace.prompt == first.trace.prompt


def test_a_saved_simulator_does_not_depend_on_the_current_folder(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved with a relative store, loaded from elsewhere."""
    monkeypatch.chdir(tmp_path)
    with simulator(Path("people.jsonl"), user_id="ada") as made:
        made.save("saved")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with UserSimulator.load("../saved", engine=engine()) as back:
        assert back.users == ["ada"]
    assert list(elsewhere.iterdir()) == []


def test_a_store_that_is_gone_is_an_error(stored: Path, tmp_path: Path) -> None:
    """No empty store is made in place of one that was moved away."""
    with simulator(stored) as made:
        made.save(tmp_path / "saved")
    store = tmp_path / "people.usersim.db"
    store.rename(tmp_path / "moved.db")
    with pytest.raises(ArtifactError, match=r"people\.usersim\.db"):
        UserSimulator.load(tmp_path / "saved", engine=engine())
    assert not store.exists()


def test_a_corpus_in_memory_cannot_be_saved(ada: UserSimulator, tmp_path: Path) -> None:
    """It would be lost, and the hint says what to do."""
    with pytest.raises(ConfigError, match="in memory") as caught:
        ada.save(tmp_path / "saved")
    assert "store=" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_named(stored: Path, tmp_path: Path) -> None:
    """A file in the way is an error with its path."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with simulator(stored) as made, pytest.raises(ArtifactError, match="saving the simulator to"):
        made.save(tmp_path / "file" / "saved")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "is not a saved simulator"),
        (lambda folder: (folder / "simulator.json").unlink(), "is not a saved simulator"),
        (lambda folder: (folder / "simulator.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "simulator.json").write_text("{}"), "cannot be read"),
        (lambda folder: (folder / "simulator.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda folder: edit(folder, surprise=1), "cannot be read"),
        (lambda folder: edit(folder, format=2), "cannot be read"),
        (lambda folder: edit(folder, adapter="/nowhere/ada"), "ada"),
    ],
)
def test_a_damaged_folder_is_refused(damage, message, stored: Path, tmp_path: Path) -> None:
    """A missing, broken, foreign or newer manifest, or one whose adapter is gone, is an error."""
    with simulator(stored) as made:
        folder = made.save(tmp_path / "saved")
    damage(folder)
    with pytest.raises(ArtifactError, match=message):
        UserSimulator.load(folder, engine=engine())


def edit(folder: Path, **fields: object) -> None:
    """Change fields of a manifest."""
    path = folder / "simulator.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **fields}), encoding="utf-8")


def test_a_simulator_saved_under_the_former_spelling_comes_back(
    stored: Path, tmp_path: Path
) -> None:
    """Keys that were spelled `synthesiser` are read, in the manifest and in its settings."""
    config = CONFIG.model_copy(
        update={"synthesizer": CONFIG.synthesizer.model_copy(update={"rounds": 3})}
    )
    with simulator(stored, user_id="ada", config=config) as made:
        path = made.save(tmp_path / "saved") / "simulator.json"
    saved = path.read_text(encoding="utf-8")
    assert saved.count('"synthesizer') == 3
    path.write_text(saved.replace("synthesizer", "synthesiser"), encoding="utf-8")
    with UserSimulator.load(path.parent, engine=engine()) as back:
        assert back.config == config
        assert back.synthesizer is None


def test_the_former_spelling_of_a_setting_is_read_and_the_new_one_written() -> None:
    """A file of settings of an earlier version loads; what is written has today's name."""
    old = {"synthesiser": {"rounds": 3}}
    config = PipelineConfig.model_validate(old)
    assert config.synthesizer.rounds == 3
    assert "synthesizer" in config.model_dump()
    assert "synthesiser" not in config.model_dump()
    assert PipelineConfig.model_validate_json(config.model_dump_json()) == config
    assert "synthesizer" in PipelineConfig.model_json_schema()["properties"]
    assert PipelineConfig(synthesizer=config.synthesizer) == config


def test_closing_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulator that never needed its model closes without loading it, also twice."""
    loaded: list[object] = []
    monkeypatch.setattr(face, "load_engine", lambda *names, **_: loaded.append(names))
    made = UserSimulator.from_corpus(person("ada", 4), config=CONFIG)
    made.close()
    made.close()
    assert loaded == []


def test_closing_gives_the_models_memory_back() -> None:
    """The engine is closed with its simulator, and closing again is no error."""
    model = engine()
    made = simulator(model=model, rows=person("ada", 4))
    assert made.respond("Tea?").action == "With milk, please."
    made.close()
    with pytest.raises(EngineError, match="closed"):
        model.generate([GenerateRequest(prompt=(("user", "Tea?"),))])
    made.close()


def test_an_unknown_source_of_traces_is_refused_at_once() -> None:
    """A misspelled source is an error before any work is done, and the sources are listed."""
    model = engine()
    with simulator(model=model) as made, pytest.raises(ConfigError, match="'recon'") as caught:
        made.train(traces="recon")
    assert "recon_select" in f"{caught.value} {caught.value.hint}"
    assert model.calls == 0


def test_an_unknown_arm_is_refused_at_once() -> None:
    """A misspelled arm is an error before any work is done, and the arms are listed."""
    model = engine()
    with simulator(model=model) as made, pytest.raises(ArgumentError, match="'recon'"):
        made.evaluate(arms=["recon"])
    assert model.calls == 0


def test_held_out_rows_are_spread_over_people(sim: UserSimulator) -> None:
    """A limit takes the same number of each person where that is possible."""
    picked = pick_held_out(sim.corpus, sim.users, 4)
    assert [i.user_id for i in picked] == ["ada", "ada", "bob", "bob"]
    assert {i.split for i in picked} == {"held_out"}
    assert len(pick_held_out(sim.corpus, sim.users, None)) == 5


def test_questions_of_the_past_are_asked_again(sim: UserSimulator) -> None:
    """An observed interaction is asked by its context and action space."""
    row = next(sim.corpus.interactions(["ada"], split="held_out"))
    answer = sim.respond(row, user_id="ada")
    assert answer.kind == row.space.kind
    assert row.context[0].content in answer.trace.prompt[-1][1]
    assert as_question(row) == Question(row.context, row.space)


def test_a_row_that_was_learned_from_is_asked_without_its_own_answer() -> None:
    """An interaction of the train split never stands in the history of its own question."""
    corpus = Corpus.open(":memory:")
    corpus.add(
        [
            {
                "user_id": "ada",
                "order": n,
                "context": [{"role": "user", "content": f"Question {n}?"}],
                "action": f"Answer {n}.",
            }
            for n in range(10)
        ]
    )
    with UserSimulator(corpus, engine=ScriptedEngine()) as sim:
        row = next(i for i in corpus.interactions(["ada"], split="train") if i.position == 5)
        shown = sim.respond(row).trace.history
        earlier = {i.key for i in corpus.interactions(["ada"]) if i.position < row.position}
        assert shown
        assert set(shown) <= earlier


def test_the_simulator_of_one_person_knows_what_other_people_answered() -> None:
    """`from_corpus(user_id=...)` simulates one person, and others' answers stay in its panel.

    Rows that name nobody are this person's.
    """
    options = ["1", "2", "3", "4"]
    rows = [
        {
            "user_id": f"p{number:02}",
            "context": f"Do you like {what}?",
            "action": options[(number + number % 3 * place) % 4],
            "options": options,
            "action_type": "scale",
        }
        for number in range(30)
        for place, what in enumerate(("tea", "rain", "trains", "chess", "snow"))
    ]
    unnamed = {"context": "Do you like fog?", "action": "2", "options": options}
    with simulator([*rows, unnamed], user_id="p07") as made:
        answer = made.respond("Do you like rain?", options=options, kind="scale")
        known = {one.user_id: one.interactions for one in made.corpus.users()}
        assert made.users == ["p07"]
        assert (len(known), known["p07"], known["p08"]) == (30, 6, 5)
        assert "panel" in {one.predictor for one in answer.trace.predictors}
