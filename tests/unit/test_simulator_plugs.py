"""What a user plugs in: embeddings, a similarity, a retriever, a judge of traces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.fixtures.people import engine, is_reasoning, person
from usersim import Corpus, UserSimulator
from usersim.cli.app import app
from usersim.config import HistoryConfig, PipelineConfig, ScoringConfig
from usersim.engines import GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import ArgumentError, ConfigError, UsersimError
from usersim.simulator import face
from usersim.simulator.plugs import name_of
from usersim.types import Interaction, Question

SEAS = [
    ("ada", "Which sea is bluest?", "The Aegean."),
    ("ada", "What is for breakfast?", "Porridge."),
    ("ada", "Do you own a boat?", "A small one."),
    ("ada", "Where is the umbrella?", "By the door."),
    ("ada", "How was Monday?", "Fine."),
    ("ada", "How was Tuesday?", "Fine."),
]
ONE = PipelineConfig(history=HistoryConfig(recent=0, evidence=1))


def rows() -> list[dict[str, object]]:
    """One person, whose answers about water share no word with the question about it."""
    return [
        {"user_id": user, "order": n, "context": asked, "action": said}
        for n, (user, asked, said) in enumerate(SEAS)
    ]


def water(texts: Sequence[str]) -> list[list[float]]:
    """Texts as vectors: about water or not."""
    wet = ("sea", "boat", "sail")
    return [[1.0, 0.0] if any(w in t.lower() for w in wet) else [0.0, 1.0] for t in texts]


def umbrellas(_text: str, others: Sequence[str]) -> list[float]:
    """A similarity that likes umbrellas."""
    return [float("umbrella" in one) for one in others]


class Breakfasts:
    """A retriever that always finds the second interaction."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def retrieve(
        self, user_id: str, question: Question, *, before: int | None, limit: int
    ) -> list[Interaction]:
        """Return the second interaction of the person."""
        del question, before
        return list(self.corpus.interactions([user_id]))[1:2][:limit]


def shown(sim: UserSimulator) -> list[str]:
    """The questions of the evidence in the prompt of an answer."""
    trace = sim.respond("Would you sail tomorrow?").trace
    assert all(one.question in str(trace.prompt) for one in trace.evidence if one.chosen)
    return [one.question for one in trace.evidence if one.chosen]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"embed": water}, ["Do you own a boat?"]),
        ({"embed": water, "similarity": umbrellas}, ["Where is the umbrella?"]),
        ({"retriever": Breakfasts}, ["What is for breakfast?"]),
    ],
    ids=["embed", "similarity", "retriever"],
)
def test_what_is_plugged_in_chooses_what_the_prompt_shows(  # type: ignore[no-untyped-def]
    given, found
) -> None:
    """An embedding, a similarity and a retriever each decide which past answers are shown."""
    with UserSimulator.from_corpus(rows(), engine=engine(), config=ONE, **given) as sim:
        assert shown(sim) == found
    with UserSimulator.from_corpus(rows(), engine=engine(), config=ONE) as plain:
        Breakfasts(plain.corpus)
        assert plain.config.history.evidence_by == ""
        if "retriever" in given:
            made = UserSimulator(
                plain.corpus, engine=engine(), config=ONE, retriever=Breakfasts(plain.corpus)
            )
            assert shown(made) == found


def test_other_evidence_has_another_key_and_none_the_old_one() -> None:
    """Traces, pools and runs of other evidence are told apart; without a plug keys stay."""
    plain, plugged = ONE.history, ONE.history.model_copy(update={"evidence_by": "m.f"})
    assert plugged.key != plain.key
    assert "evidence_by" not in plain.model_dump_json()
    assert "aided_by" not in ScoringConfig().model_dump_json()
    assert HistoryConfig.model_validate(plugged.model_dump()) == plugged
    with UserSimulator.from_corpus(rows(), engine=engine(), config=ONE, embed=water) as sim:
        assert sim.config.history.evidence_by == name_of(water)
        stage = sim.reconstruct(progress=False).stage
    with UserSimulator.from_corpus(rows(), engine=engine(), config=ONE) as sim:
        assert sim.reconstruct(progress=False).stage != stage


def test_a_saved_simulator_asks_for_what_it_was_saved_with(tmp_path: Path) -> None:
    """A folder only names the function: it is never imported, and its lack is an error."""
    store, folder = tmp_path / "s.db", tmp_path / "saved"
    with UserSimulator.from_corpus(
        rows(), store=store, engine=engine(), config=ONE, embed=water
    ) as sim:
        sim.save(folder)
        settings = sim.config
    with pytest.raises(ConfigError, match=name_of(water)):
        UserSimulator.load(folder, engine=engine())
    with pytest.raises(ConfigError):
        UserSimulator.open(store, engine=engine(), config=settings, retriever=Breakfasts)
    with UserSimulator.load(folder, engine=engine(), embed=water) as sim:
        assert shown(sim) == ["Do you own a boat?"]


@pytest.mark.parametrize(
    "given",
    [
        {"embed": "model2vec"},
        {"similarity": 3},
        {"retriever": 3},
        {"retriever": lambda _corpus: 3},
        {"trace_judge": "gpt"},
    ],
)
def test_what_cannot_be_plugged_in_is_an_error(given: dict[str, object]) -> None:
    """Whatever is not a function, a retriever or an engine is named at once."""
    with pytest.raises(ArgumentError):
        UserSimulator.from_corpus(rows(), engine=engine(), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"embed": lambda texts: [[1.0]] * (len(texts) - 1)},
        {"embed": lambda texts: [1.0] * len(texts)},
        {"embed": lambda texts: [[float("nan")]] * len(texts)},
        {"similarity": lambda _text, others: [0.5] * (len(others) + 1)},
        {"similarity": lambda _text, others: [float("nan")] * len(others)},
    ],
)
def test_wrong_vectors_are_an_error_and_never_an_answer(given: dict[str, object]) -> None:
    """Too few vectors, numbers in place of vectors and NaN are named, whoever computed them."""
    with (
        UserSimulator.from_corpus(rows(), engine=engine(), config=ONE, **given) as sim,  # type: ignore[arg-type]
        pytest.raises(ArgumentError, match="finite"),
    ):
        sim.respond("Would you sail tomorrow?")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (lambda one: one.user_id == "bob", "'bob'"),
        (lambda one: one.split != "train", "held out"),
        (lambda one: one.user_id == "ada" and one.split == "train", "the limit of 1"),
    ],
    ids=["another person", "held out", "too many"],
)
def test_a_retriever_cannot_show_what_must_not_be_seen(
    chosen: Callable[[Interaction], bool], said: str
) -> None:
    """Another person's answers, held-out ones and more than were asked for end in an error."""

    class Wrong(Breakfasts):
        def retrieve(
            self, user_id: str, question: Question, *, before: int | None, limit: int
        ) -> list[Interaction]:
            del user_id, question, before, limit
            return [one for one in self.corpus.interactions() if chosen(one)]

    bob = [{**one, "user_id": "bob"} for one in rows()]
    with (
        UserSimulator.from_corpus(
            rows() + bob, engine=engine(), config=ONE, retriever=Wrong
        ) as sim,
        pytest.raises(ArgumentError, match=said),
    ):
        sim.respond("Would you sail tomorrow?", user_id="ada")


def test_a_retriever_cannot_show_the_future_to_training() -> None:
    """While traces are made of past answers, nothing newer than the question may be shown."""

    class Newest(Breakfasts):
        def retrieve(
            self, user_id: str, question: Question, *, before: int | None, limit: int
        ) -> list[Interaction]:
            del question, before
            return list(self.corpus.interactions([user_id], split="train"))[-limit:]

    with (
        UserSimulator.from_corpus(rows(), engine=engine(), config=ONE, retriever=Newest) as sim,
        pytest.raises(ArgumentError, match="before position"),
    ):
        sim.reconstruct(progress=False)


# ---------------------------------------------------------------------- the judge


class Judge(ScriptedEngine):
    """An engine of another name, which ranks backwards."""

    @property
    def identity(self) -> str:
        """Of a model of another family."""
        return "another-family"


def ranking(_request: GenerateRequest, _index: int) -> str:
    """The last reply first."""
    return "5 > 4 > 3 > 2 > 1"


CALLS: dict[str, Callable[[UserSimulator], object]] = {
    "reconstruct": lambda sim: sim.reconstruct(progress=False),
    "train": lambda sim: sim.train(progress=False),
    "evaluate": lambda sim: sim.evaluate(arms=["random_eligible"], progress=False),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("own", [False, True], ids=["no judge", "the reconstructor"])
def test_no_model_ranks_what_it_wrote(call: str, own: bool) -> None:
    """Preset `paper` without another judge is an error before anything is drawn."""
    drawn: list[GenerateRequest] = []

    def noted(request: GenerateRequest, _index: int) -> str:
        drawn.append(request)
        return "Well."

    model = engine(reasoning=noted, action=noted)
    given = {"trace_judge": model} if own else {}
    with (
        UserSimulator.from_corpus(person("ada", 9), engine=model, config="paper", **given) as sim,  # type: ignore[arg-type]
        pytest.raises(ConfigError) as caught,
    ):
        CALLS[call](sim)
    assert "trace_judge=" in caught.value.hint
    assert "--trace-judge" in (caught.value.cli_hint or "")
    assert not drawn


def test_another_judge_ranks() -> None:
    """With a judge, the paper's preset selects by its ranking alone, and the key names it."""
    asked: list[GenerateRequest] = []

    def reply(request: GenerateRequest, index: int) -> str:
        asked.append(request)
        return ranking(request, index)

    with UserSimulator.from_corpus(
        person("ada", 5), engine=engine(), config="paper", trace_judge=Judge(reply)
    ) as sim:
        assert sim.config.scoring.aided_by == "another-family"
        sim.reconstruct(progress=False)
    assert asked
    assert not any(is_reasoning(one) for one in asked)


# ---------------------------------------------------------------------- the command line


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store, and a module of the user's own in the current folder."""
    path = tmp_path / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add(rows())
    (tmp_path / "own_plugs.py").write_text(
        "from tests.unit.test_simulator_plugs import Breakfasts as breakfasts, water as embed\n"
        "number = 3\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: engine())
    return str(path)


def respond(*plugs: str, store: str) -> str:
    """The answer of a command, as JSON."""
    result = CliRunner().invoke(
        app,
        ["respond", "Would you sail tomorrow?", "-c", store, "-u", "ada", "--json", *plugs],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def weights(printed: str) -> dict[str, float]:
    """How much each past question bears on the one asked."""
    return {one["question"]: one["weight"] for one in json.loads(printed)["trace"]["evidence"]}


def test_the_command_line_plugs_the_same(store: str) -> None:
    """`--embed` and `--retriever` name functions, those of the current folder included."""
    plain, own = respond(store=store), respond("--retriever", "own_plugs:breakfasts", store=store)
    assert "umbrella" in plain
    assert "Porridge" in own
    assert "umbrella" not in own
    assert weights(respond("--embed", "own_plugs:embed", store=store)) != weights(plain)
    assert "umbrella" in respond(store=store), "a plug is of one command"


def test_the_commands_that_ask_or_train_list_the_plugs() -> None:
    """Each command's own help has `--embed` and `--retriever`; the others take neither."""
    plugged = set()

    def walk(command: Any, path: str) -> None:
        names = {name for one in command.params for name in one.opts}
        if "--embed" in names:
            assert "--retriever" in names
            plugged.add(path)
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}".strip())

    walk(get_command(app), "")
    assert plugged == {
        "respond", "train", "evaluate", "simulate", "calibrate", "serve", "explore", "mcp",
        "survey run", "survey elicitation", "survey compare", "study run",
        "fleet train", "fleet reconstruct", "fleet simulate",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["own_plugs", "own_plugs:missing", "no_such:thing", "own_plugs:number", ":"]
)
def test_a_name_that_cannot_be_imported_is_one_error(name: str, store: str) -> None:
    """The error names the option and what is wrong with it."""
    with pytest.raises(UsersimError, match="--embed"):
        respond("--embed", name, store=store)
