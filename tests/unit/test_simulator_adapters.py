"""What was trained is what answers: the default, the choice, the list, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.people import engine, person
from tests.fixtures.trained import DIGEST, make_adapter, put_adapter
from usersim import Corpus, UserSimulator
from usersim.config import HistoryConfig, PipelineConfig, SimulationConfig
from usersim.corpus import AdapterRecord
from usersim.errors import AdapterLoadError, ArgumentError, ArtifactError, ConfigError
from usersim.simulation.dialogue import Scenario
from usersim.simulator.adapters import purpose_of
from usersim.training.manifest import Counts, SynthesizerRecord

CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, similar=0), simulation=SimulationConfig(traces=1, redraws=0)
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two people; its adapters lie beside it."""
    path = tmp_path / "people.db"
    with Corpus.open(path) as corpus:
        corpus.add([*person("ada", 4), *person("bob", 4, "market")])
    return path


@pytest.fixture
def corpus(store: Path) -> Iterator[Corpus]:
    """The same, open."""
    with Corpus.open(store) as opened:
        yield opened


@pytest.fixture
def folder(store: Path) -> Path:
    """Where the store's adapters are."""
    return store.with_suffix(".adapters")


def simulator(store: Path, user_id: str | None = None, **fields: object) -> UserSimulator:
    """A simulator whose engine has the model that the adapters were trained on."""
    model = engine()
    model.model_digest = fields.pop("digest", DIGEST)
    how = {"engine": model, "config": CONFIG, **fields}
    return UserSimulator.open(store, user_id=user_id, **how)  # type: ignore[arg-type]


def answered_by(sim: UserSimulator, user_id: str | None = None) -> str | None:
    """Name of the adapter behind an answer."""
    return sim.respond("Tea?", user_id=user_id).trace.adapter


# ---------------------------------------------------------------------- the default


def test_the_newest_adapter_of_the_person_answers_without_being_named(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """Whoever opens a store gets what was trained last, with its fitted reasoning weight."""
    put_adapter(corpus, folder, "ada-old", "ada")
    newest = put_adapter(corpus, folder, "ada-new", "ada")
    with simulator(store, "ada") as sim:
        assert sim.adapter is not None
        assert sim.adapter.ref == newest.ref
        answer = sim.respond("Tea?")
    assert answer.trace.adapter == newest.ref.name
    assert answer.trace.reasoning_weight == 0.25


def test_an_adapter_that_learned_no_trace_is_shown_how_to_reason(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """It would never close its reasoning: worked examples, and the end of its turn, do instead."""
    told = {"train": 8, "validation": 2, "refused": 0}
    put_adapter(corpus, folder, "ada", "ada", counts=Counts(**told, with_reasoning=6))
    put_adapter(corpus, folder, "bob", "bob", counts=Counts(**told, with_reasoning=0))
    with simulator(store) as sim:
        drafted = {user: sim.asker().item(user, "Tea?").drafted for user in ("ada", "bob")}
    assert drafted == {"ada": False, "bob": True}


def test_a_persons_own_adapter_goes_before_a_shared_one(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """One batch mixes own and shared adapters, whichever was trained later."""
    own = put_adapter(corpus, folder, "ada", "ada")
    shared = put_adapter(corpus, folder, "shared", "ada", "bob")
    with simulator(store) as sim:
        batch = sim.respond_many(["Tea?", "Tea?"], user_id=["ada", "bob"])
        assert [one.trace.adapter for one in batch] == [own.ref.name, shared.ref.name]
        assert sim.adapter == shared
        assert sim.adapter_of("ada") == own


def test_every_way_of_asking_takes_the_same_adapter(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """Answers, streams, runs, dialogues and saved simulators agree."""
    own = put_adapter(corpus, folder, "ada", "ada").ref.name
    with simulator(store, "ada") as sim:
        stream = sim.stream("Tea?")
        assert list(stream)
        (_, ran), *_ = sim.run([("ada", "Tea?")]).answers()
        talk = sim.dialogue(lambda _: "Yes.", "tea")
        spoken = next(turn.answer for turn in talk.turns if turn.answer is not None)
        found = [one.trace.adapter for one in (sim.respond("Tea?"), stream.answer, ran, spoken)]
        saved = sim.save(store.with_name("saved"))
    assert found == [own] * 4
    put_adapter(corpus, folder, "ada-later", "ada")
    model = engine()
    model.model_digest = DIGEST
    with UserSimulator.load(saved, engine=model) as back:
        assert answered_by(back) == own, (
            "a saved simulator keeps the adapter that it was saved with"
        )


def test_arms_synthesizers_and_other_peoples_adapters_do_not_answer(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """What was trained for a measurement, to write traces or from others is not the default."""
    put_adapter(corpus, folder, "arm", "ada", purpose="arm")
    record = SynthesizerRecord(recipe="rft")
    put_adapter(corpus, folder, "writer", "ada", purpose="synthesizer", synthesizer=record)
    put_adapter(corpus, folder, "bob", "bob")
    with simulator(store, "ada") as sim:
        assert sim.adapter is None
        assert answered_by(sim) is None


def test_a_synthesizer_that_was_stored_under_the_former_spelling_does_not_answer() -> None:
    """Its stored manifest says `synthesiser`, and is read as what it is."""
    manifest = {"synthesiser": {"recipe": "rft"}, "purpose": "synthesiser"}
    record = AdapterRecord(
        name="writer",
        path="/nowhere",
        digest="d" * 64,
        base_model="embedded",
        user_ids=("ada",),
        manifest=manifest,
        created="2026-01-01",
    )
    assert purpose_of(record) == "synthesizer"


def test_an_adapter_of_another_model_is_not_the_default_and_is_told(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """The base model answers, and says that the store's adapters are of another one."""
    put_adapter(corpus, folder, "ada", "ada", base_model="large", base_model_digest="c" * 64)
    with simulator(store, "ada") as sim:
        assert answered_by(sim) is None
        assert "'large'" in sim.describe_adapter()


def test_the_same_model_under_another_name_fits(store: Path, corpus: Corpus, folder: Path) -> None:
    """A model that was moved has another path and the same content."""
    own = put_adapter(corpus, folder, "ada", "ada", base_model="/elsewhere/scripted")
    with simulator(store, "ada") as sim:
        assert answered_by(sim) == own.ref.name


# ---------------------------------------------------------------------- refused, never replaced


def test_a_stale_adapter_is_an_error_that_names_it(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """The base model changed under the same name: no answer is drawn."""
    own = put_adapter(corpus, folder, "ada", "ada")
    with simulator(store, "ada", digest="d" * 64) as sim:
        with pytest.raises(AdapterLoadError, match="has changed since") as caught:
            sim.respond("Tea?")
        assert own.ref.name in str(caught.value)
        assert sim.engine.calls == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda path: (path / "usersim.json").unlink(),
        lambda path: (path / "adapter_model.safetensors").write_bytes(b"other"),
    ],
    ids=["folder gone", "manifest gone", "weights altered"],
)
def test_a_damaged_default_is_an_error_that_names_it(
    damage, store: Path, corpus: Corpus, folder: Path
) -> None:
    """A missing or altered folder is told by the adapter's name; the base model does not answer."""
    own = put_adapter(corpus, folder, "ada", "ada")
    damage(own.folder)
    with simulator(store, "ada") as sim, pytest.raises(ArtifactError) as caught:
        sim.respond("Tea?")
    assert own.ref.name in str(caught.value)


def test_an_adapter_that_was_forgotten_with_its_person_stops_answering(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """Another process forgets ada: her shared adapter does not answer for bob any more."""
    shared = put_adapter(corpus, folder, "shared", "ada", "bob")
    with simulator(store) as sim:
        assert answered_by(sim, "bob") == shared.ref.name
        corpus.forget("ada")
        assert answered_by(sim, "bob") is None


# ---------------------------------------------------------------------- the choice


def test_an_adapter_is_chosen_by_name_beginning_folder_or_itself(
    store: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    """`none` is the base model, and `default` goes back to the store's newest."""
    old = put_adapter(corpus, folder, "ada-old", "ada")
    new = put_adapter(corpus, folder, "ada-new", "ada")
    elsewhere = make_adapter(tmp_path / "elsewhere", "mine", ("ada",))
    choices = [
        ("none", None),
        (None, None),
        (old.ref.name, old),
        ("ada-o", old),
        (elsewhere.folder, elsewhere),
        (str(elsewhere.folder), elsewhere),
        (old, old),
        ("default", new),
    ]
    for choice, wanted in choices:
        with simulator(store, "ada", adapter=choice) as sim:
            assert answered_by(sim) == (wanted.ref.name if wanted else None)


@pytest.mark.parametrize(
    ("choice", "error", "said"),
    [
        ("nobody", ConfigError, "there is no adapter 'nobody'"),
        ("ada", ConfigError, "several adapters begin with 'ada'"),
        ("bob", ConfigError, "trained on 'bob' alone"),
        ("writer", ArtifactError, "writes reasoning traces"),
        ("large", AdapterLoadError, "was trained on 'large'"),
        (7, ArgumentError, "adapter is 7"),
    ],
)
def test_a_choice_that_cannot_answer_is_refused_at_once(
    choice, error, said, store: Path, corpus: Corpus, folder: Path
) -> None:
    """Unknown, ambiguous, somebody else's, a synthesizer's, another model's: each is named."""
    put_adapter(corpus, folder, "ada-old", "ada")
    put_adapter(corpus, folder, "ada-new", "ada")
    put_adapter(corpus, folder, "bob", "bob")
    put_adapter(corpus, folder, "writer", "ada", synthesizer=SynthesizerRecord(recipe="rft"))
    put_adapter(corpus, folder, "large", "ada", base_model="large", base_model_digest="c" * 64)
    with pytest.raises(error, match=said):
        simulator(store, "ada", adapter=choice)


def test_dialogues_and_runs_are_told_apart_by_the_adapters_of_their_people(
    store: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    """A new adapter of ada makes new dialogues of hers, and none of bob's."""
    held: list[int] = []

    def assistant(_messages: object) -> str:
        held.append(1)
        return "Yes."

    scenarios = [Scenario(goal="tea", user_id=who) for who in ("ada", "bob")]
    path = tmp_path / "talks.jsonl"
    with simulator(store) as sim:
        first = sim.dialogues(assistant, scenarios, path=path)
        settings = sim.run([("ada", "Tea?")]).settings
    put_adapter(corpus, folder, "ada", "ada")
    with simulator(store) as sim:
        second = sim.dialogues(assistant, scenarios, path=path)
        assert sim.run([("ada", "Tea?")]).settings != settings
    assert second[1].key == first[1].key
    assert second[0].key != first[0].key


# ---------------------------------------------------------------------- the list


def test_the_list_says_for_whom_how_good_how_large_and_which_is_the_default(
    store: Path, corpus: Corpus, folder: Path
) -> None:
    """One entry for each adapter, oldest first; what cannot be used says why."""
    put_adapter(corpus, folder, "ada-old", "ada")
    put_adapter(corpus, folder, "ada-new", "ada")
    put_adapter(corpus, folder, "shared", "ada", "bob")
    put_adapter(corpus, folder, "arm", "ada", purpose="arm")
    gone = put_adapter(corpus, folder, "gone", "bob")
    shutil.rmtree(gone.folder)
    with simulator(store) as sim:
        listed = sim.adapters()
    assert [one.default_for for one in listed] == [None, "ada", "everybody else", None, "bob"]
    assert [one.users for one in listed][2] == ("ada", "bob")
    assert (listed[1].before, listed[1].after) == (-3.0, -1.0)
    assert listed[1].size is not None
    assert listed[1].size > 0
    assert listed[4].size is None
    assert "no longer in its folder" in listed[4].problem
    assert not any(one.problem for one in listed[:4])
    printed = str(listed)
    assert all(one.name in printed for one in listed)
    assert "-3.00 → -1.00" in printed


def test_removing_an_adapter_takes_its_folder_and_the_next_one_answers(
    store: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    """The store's own folder goes; one that lies elsewhere is left, and that is said."""
    old = put_adapter(corpus, folder, "ada-old", "ada")
    new = put_adapter(corpus, folder, "ada-new", "ada")
    other = put_adapter(corpus, tmp_path / "elsewhere", "other", "bob")
    with simulator(store, "ada") as sim:
        assert answered_by(sim) == new.ref.name
        removed = sim.corpus.remove_adapter("ada-new")
        assert removed.left == ""
        assert not new.folder.exists()
        assert answered_by(sim) == old.ref.name
        assert sim.corpus.remove_adapter(other.ref.name).left
    assert other.folder.is_dir()
    assert [one.name for one in corpus.ledger.adapters()] == [old.ref.name]
