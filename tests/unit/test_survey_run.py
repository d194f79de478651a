"""Surveys of a store's people: resumable waves, failures as data, files, and the command line."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine
from tests.fixtures.runs import CONFIG, PEOPLE, fill, simulator
from tests.fixtures.surveys import EVERY
from usersim import Corpus, UserSimulator
from usersim.cli.app import app, main
from usersim.config import SimulationConfig
from usersim.engines import Engine, GenerateRequest, ScoreRequest
from usersim.errors import (
    ConfigError,
    EngineUnavailableError,
    EvaluationError,
    SurveyError,
    SurveyFileError,
    UserNotFoundError,
)
from usersim.simulator import compare_elicitation, face
from usersim.survey import (
    OpenText,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
)
from usersim.survey.files.results import write_answers
from usersim.transcript import REASONING_STOP

CHUNK = 8
SHORT = CONFIG.model_copy(
    update={
        "simulation": SimulationConfig(traces=1, max_reasoning_tokens=24, max_action_tokens=200)
    }
)


class Killed(BaseException):
    """Ends a survey where nothing catches it."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four people."""
    path = tmp_path_factory.mktemp("survey") / "c.db"
    fill(path)
    return path


@pytest.fixture
def store(tmp_path: Path, filled: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "c.db"
    path.write_bytes(filled.read_bytes())
    return path


def model(**fields: object) -> Engine:
    """An engine whose actions are numbers, so that every question type has an answer."""
    return engine(**{"action": lambda request, index: "12", **fields})  # type: ignore[arg-type]


def conduct(
    store: Path, *, on: Engine | None = None, stop: Callable[[str, int], bool] | None = None,
    **how: object,
) -> SurveyResults:  # fmt: skip
    """Conduct the survey, and be killed where `stop` says so."""

    def progress(wave: str, done: int, total: int) -> None:
        if stop is not None and stop(wave, done):
            raise Killed

    with simulator(store, on or model()) as sim:
        respondents = sim.respondents(chunk=CHUNK)
        return EVERY.run(respondents, progress=progress, **how)  # type: ignore[arg-type]


def copied(store: Path, name: str) -> Path:
    """Another copy of a store."""
    path = store.with_name(name)
    path.write_bytes(store.read_bytes())
    return path


# ---------------------------------------------------------------------- every type, every mode


@pytest.mark.parametrize("mode", ["direct", "say_then_map"])
@pytest.mark.parametrize("memory", [False, True])
def test_every_question_type_is_answered(store: Path, mode: str, memory: bool) -> None:
    """Every item of everybody has a value of its kind, with probabilities that sum to 1."""
    results = conduct(store, mode=mode, memory=memory)
    assert results.failures == ()
    assert results.people == PEOPLE
    for question in EVERY.all_questions:
        for item in question.items:
            for one in results.of(question.id, item):
                check(one)
    assert {one.mode for one in results.of("drink")} == {mode}
    skipped = {one.question for one in results.responses if one.skipped}
    assert skipped <= {"milk", "sugar"}
    assert sum(one.value for one in results.responses if one.question == "money") == 9 * 4  # type: ignore[misc]


def check(one: SurveyResponse) -> None:
    """What holds of any response."""
    question = EVERY.question(one.question)
    if one.skipped:
        assert (one.value, one.position, one.seed) == (None, None, None)
        return
    assert one.simulated is True
    assert one.traces == ("A quiet day calls for tea.",)
    assert one.seed is not None
    if question.type in {"number", "open_text"}:
        assert one.value == ("12" if question.type == "open_text" else 12)
        return
    assert math.isclose(sum(one.probabilities.values()), 1)
    if question.type not in {"ranking", "budget"}:
        assert one.value in question.labels
        assert tuple(one.probabilities) == question.labels


def test_probabilities_are_averaged_over_traces_and_option_orders(store: Path) -> None:
    """K traces stand in the response; every option is scored after each in every order."""
    survey = Survey(title="T", questions=(YesNo(id="q", text="Tea?"),))
    for traces, orders in ((3, 1), (3, 2), (0, 2)):
        how = SimulationConfig(traces=traces, option_orders=orders, redraws=0)
        asked = model()
        with simulator(store, asked, config=CONFIG.model_copy(update={"simulation": how})) as sim:
            one = sim.survey(survey, "ada").responses[0]
        scored = [one for one in asked.requests if isinstance(one, ScoreRequest)]  # type: ignore[attr-defined]
        assert len(one.traces) == traces
        # Yes and no, after each trace and, for the pool, without any.
        assert len(scored) == (traces + 1) * orders * 2
        assert len({one.prompt for one in scored}) == orders


def test_sampled_answers_spread_as_their_probabilities(store: Path) -> None:
    """With `decision="sampled"` other seeds give other answers, and the rules hold all the same."""
    how = SimulationConfig(traces=0, decision="sampled")
    config = CONFIG.model_copy(update={"simulation": how})
    with simulator(store, model(), config=config) as sim:
        found = [EVERY.run(sim.respondents(seed=seed)) for seed in range(5)]
    assert len({one.value for results in found for one in results.of("drink")}) > 1
    assert len({one.value for results in found for one in results.of("plants", "rose")}) > 1
    assert all(sum(r.of("money", "seeds")[k].value + r.of("money", "tools")[k].value  # type: ignore[operator]
                   for k in range(4)) == 36 for r in found)  # fmt: skip


def test_a_seed_reproduces_and_another_one_shuffles_again(store: Path) -> None:
    """The configured seed may be replaced; orders and draws follow it."""
    with simulator(store, model()) as sim:
        first = EVERY.run(sim.respondents(seed=3))
        again = EVERY.run(sim.respondents(seed=3, name="twice"))
        other = EVERY.run(sim.respondents(seed=4))
    assert [one.seed for one in first.responses] == [one.seed for one in again.responses]
    assert first.responses == again.responses
    assert [one.shown for one in first.of("drink")] != [one.shown for one in other.of("drink")]
    assert (first.seed, other.seed) == (3, 4)


@pytest.mark.model
@pytest.mark.slow
def test_the_embedded_model_answers_a_survey(embedded_model: Path, store: Path) -> None:
    """A scored and a written answer of one person, the second with the first before it."""
    survey = Survey(
        title="T",
        questions=(
            YesNo(id="tea", text="Do you drink tea?", refusal=("don't know",)),
            OpenText(id="why", text="Why did you say {{ tea }}?"),
        ),
    )
    with UserSimulator(Corpus.open(store), model=embedded_model, config=SHORT) as sim:
        results = sim.survey(survey, "ada", memory=True)
    tea, why = results.responses
    assert results.failures == ()
    assert tea.value in {"yes", "no", "don't know"}
    assert math.isclose(sum(tea.probabilities.values()), 1)
    assert all(0 < p < 1 for p in tea.probabilities.values())
    assert isinstance(why.value, str)
    assert why.value.strip()


# ---------------------------------------------------------------------- interruption


@pytest.mark.parametrize(("mode", "memory"), [("direct", False), ("say_then_map", True)])
@pytest.mark.parametrize("moment", ["within a wave", "between waves"])
def test_a_killed_survey_goes_on_and_ends_byte_for_byte_the_same(
    store: Path, mode: str, memory: bool, moment: str
) -> None:
    """Whatever wave it is killed in, the same call asks the rest and gives the same results."""
    whole = conduct(copied(store, "whole.db"), mode=mode, memory=memory)

    def stop(wave: str, done: int) -> bool:
        return wave == "wave 2" and done == 0 if moment == "between waves" else done >= CHUNK

    with pytest.raises(Killed):
        conduct(store, stop=stop, mode=mode, memory=memory)
    resumed = conduct(store, mode=mode, memory=memory)
    assert resumed.model_dump_json().encode() == whole.model_dump_json().encode()


def test_what_was_answered_is_not_asked_again(store: Path) -> None:
    """A finished survey is read from the store; a half one asks the other half."""
    undisturbed, killed, rest, again = model(), model(), model(), model()
    conduct(copied(store, "whole.db"), on=undisturbed)
    with pytest.raises(Killed):
        conduct(store, on=killed, stop=lambda wave, done: done >= CHUNK)
    results = conduct(store, on=rest)
    assert conduct(store, on=again) == results
    assert draws(killed) == CHUNK
    assert draws(killed) + draws(rest) == draws(undisturbed)
    assert draws(again) == 0


def draws(asked: object) -> int:
    """Reasoning that was drawn."""
    return sum(
        isinstance(one, GenerateRequest) and bool(one.stop)
        for one in asked.requests  # type: ignore[attr-defined]
    )


def test_several_clients_share_a_survey(store: Path) -> None:
    """Each gets all results; no question is asked by two of them."""
    undisturbed = model()
    whole = conduct(copied(store, "whole.db"), on=undisturbed, memory=True)
    engines = [model(), model()]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda on: conduct(store, on=on, memory=True), engines))
    assert both == [whole, whole]
    assert sum(draws(one) for one in engines) == draws(undisturbed)


def test_an_engine_that_goes_away_loses_nothing_that_was_done(store: Path) -> None:
    """The error says how far the wave is; the same call with an engine goes on."""
    with pytest.raises(EngineUnavailableError, match=r"wave-01' stopped, \d+ done"):
        conduct(store, on=model(fail_after=4))
    assert conduct(store).failures == ()


def test_each_wave_is_a_run_that_names_the_survey(store: Path) -> None:
    """`usersim runs` shows the waves by the instrument's digest; a name may be given."""
    results = conduct(store)
    with Corpus.open(store) as corpus:
        names = [one.name for one in corpus.runs.all()]
    assert list(results.runs) == names
    assert all(f"survey-{EVERY.digest[:10]}-direct-" in name for name in names)
    assert [name[-8:] for name in names] == ["-wave-01", "-wave-02"]
    with simulator(store, model()) as sim:
        named = EVERY.run(sim.respondents(name="panel"))
        assert named.runs == ("panel-wave-01", "panel-wave-02")
        other = Survey(title="T", questions=(YesNo(id="q", text="Tea?"),))
        with pytest.raises(
            ConfigError, match="'panel-wave-01' was started with different settings"
        ):
            other.run(sim.respondents(name="panel"))


def test_one_persons_failure_is_data(store: Path) -> None:
    """A text that stays malformed leaves one answer out, with the text that was drawn."""
    survey = Survey(
        title="T", questions=(OpenText(id="a", text="Why?"), YesNo(id="b", text="Tea?"))
    )
    bad = model(action=lambda request, index: "<think>" if "bob" in str(request.prompt) else "So.")
    with simulator(store, bad) as sim:
        results = sim.survey(survey)
    (failure,) = results.failures
    assert (failure.respondent, failure.question, failure.text) == ("bob", "a", "<think>")
    values = {(one.respondent, one.question): one.value for one in results.responses}
    assert values["bob", "a"] is None
    assert values["ada", "a"] == "So."
    assert values["bob", "b"] in {"yes", "no"}


def test_answers_without_readable_reasoning_are_flagged(store: Path) -> None:
    """A closed question is answered, and its response says that no trace could be read."""
    survey = Survey(title="T", questions=(YesNo(id="b", text="Tea?"),))
    bad = model(
        reasoning=lambda r, i: f"{'' if 'bob' in str(r.prompt) else 'So.'}\n{REASONING_STOP}"
    )
    with simulator(store, bad) as sim:
        results = sim.survey(survey)
    flagged = {one.respondent for one in results.responses if one.reasoning_failed}
    assert flagged == {"bob"}
    assert all(one.answered for one in results.responses)
    assert not results.failures


def test_a_person_forgotten_between_waves_has_failures(store: Path) -> None:
    """Who is gone cannot be asked; the others are."""
    with simulator(store, model()) as sim:

        def progress(wave: str, done: int, total: int) -> None:
            if wave == "wave 1" and done == total:
                sim.corpus.forget("cy")

        results = EVERY.run(sim.respondents(), memory=True, progress=progress)
    gone = [one for one in results.responses if one.respondent == "cy"]
    assert all(one.value is None for one in gone)
    assert "is no longer in the store" in str(next(one.failed for one in gone if one.failed))
    assert all(one.answered for one in results.of("why") if one.respondent != "cy")


# ---------------------------------------------------------------------- whom, and how much


def test_respondents_are_the_simulators_people(store: Path) -> None:
    """All by default, some on demand, nobody who is not there."""
    survey = Survey(title="T", questions=(YesNo(id="q", text="Tea?"),))
    with simulator(store, model()) as sim:
        assert sim.survey(survey).people == PEOPLE
        assert sim.survey(survey, ["dee", "ada"]).people == ("dee", "ada")
        with pytest.raises(UserNotFoundError, match="'eve'"):
            sim.respondents(["ada", "eve"])
    with simulator(store, model(), user_id="ada") as sim:
        assert sim.survey(survey).people == ("ada",)
        with pytest.raises(ConfigError, match=r"'ada'.*'bob'"):
            sim.respondents("bob")


def test_a_dry_run_counts_and_asks_nothing(store: Path) -> None:
    """The most that can be asked, in requests and tokens; nothing is generated or stored."""
    asked = model()
    with simulator(store, asked) as sim:
        people = sim.respondents()
        direct = people.dry_run(EVERY)
        mapped = people.dry_run(EVERY, mode="say_then_map", memory=True)
        assert list(sim.corpus.runs.all()) == []
    assert draws(asked) == 0
    assert (direct.respondents, direct.waves, direct.requests) == (4, 2, 4 * 14)
    assert (mapped.waves, mapped.requests) == (18, 4 * (14 + 9))
    assert mapped.prompt_tokens > direct.prompt_tokens > 0
    assert str(direct).startswith("4 respondents, 2 waves, at most 56 requests, about ")


def test_both_ways_of_eliciting_are_measured_on_held_out_answers(store: Path) -> None:
    """Accuracy, log score and counts of both, paired; read from the store the second time."""
    with simulator(store, model()) as sim:
        people = sim.respondents()
        measured = compare_elicitation(people)
        again = compare_elicitation(people, limit=100)
        some = compare_elicitation(people, limit=2)
    held_out = measured.direct.n
    assert held_out == measured.say_then_map.n == 4
    assert again == measured
    assert some.direct.n == 2
    for one in (measured.direct, measured.say_then_map):
        assert 0 <= one.correct <= one.n
        assert one.accuracy.value == one.correct / one.n
        assert one.log_score.value < 0
        assert one.failed == 0
    gap = measured.say_then_map.log_score.value - measured.direct.log_score.value
    assert measured.log_score_difference.value == pytest.approx(gap)
    assert measured.people == 4
    assert str(measured).endswith(measured.verdict)


def test_an_answer_in_own_words_that_fails_counts_as_wrong(store: Path) -> None:
    """A mode that does not answer is charged, never left out."""
    with simulator(store, model(action="<think>")) as sim:
        measured = compare_elicitation(sim.respondents())
    assert (measured.say_then_map.failed, measured.say_then_map.correct) == (4, 0)
    assert measured.say_then_map.log_score.value == pytest.approx(math.log(1 / 3))
    assert measured.direct.failed == 0


def test_nothing_closed_held_out_is_an_error(tmp_path: Path) -> None:
    """Without a closed question there is nothing to measure."""
    rows = [
        {"user_id": "ada", "order": k, "context": f"Why {k}?", "action": "So."} for k in range(6)
    ]
    with (
        UserSimulator.from_corpus(rows, store=tmp_path / "c.db", engine="scripted") as sim,
        pytest.raises(EvaluationError, match="has held-out closed questions"),
    ):
        compare_elicitation(sim.respondents())


# ---------------------------------------------------------------------- files and commands


def test_answers_are_written_marked_and_without_formulas(tmp_path: Path, store: Path) -> None:
    """Both files hold every response; a text that a spreadsheet would compute is disarmed."""
    survey = Survey(title="=T", questions=(OpenText(id="q", text="Why?"),))
    with simulator(store, model(action="=1+1")) as sim:
        results = sim.survey(survey, ["ada", "bob"])
    assert write_answers(results, tmp_path / "a.csv") == 2
    assert write_answers(results, tmp_path / "a.jsonl") == 2
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["survey"], row["value"], row["simulated"]) for row in rows] == [
        ("'=T", "'=1+1", "true")
    ] * 2
    lines = (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["value"] for line in lines] == ["=1+1"] * 2
    assert sorted(one.name for one in tmp_path.iterdir() if "a." in one.name) == [
        "a.csv", "a.jsonl",
    ]  # fmt: skip
    with pytest.raises(SurveyError, match=r"'.*b.csv'"):
        write_answers(results, tmp_path / "no" / "b.csv")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command on the scripted engine and return what it printed."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: model())

    def run(*arguments: object) -> str:
        given = [str(one) for one in arguments]
        result = CliRunner().invoke(app, given, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_survey_run_writes_a_table_and_goes_on(
    command: Callable[..., str], tmp_path: Path, store: Path
) -> None:
    """The command counts, asks, shows its waves and writes; repeated it says the same."""
    file = EVERY.save(tmp_path / "garden.yaml")
    out = tmp_path / "answers.csv"
    how = ("survey", "run", file, "--corpus", store, "--preset", "tiny")
    assert "4 respondents, 2 waves, at most 56 requests" in command(*how, "--dry-run")
    printed = command(*how, "--user", "ada", "--user", "dee", "--out", out, "--memory")
    assert "The garden: 2 simulated respondents" in printed
    assert "wave 1: 2 of 2" in printed
    assert f"34 rows written to {out}" in printed
    first = out.read_bytes()
    command(*how, "--user", "ada", "--user", "dee", "--out", out, "--memory")
    assert out.read_bytes() == first
    assert "failed" in command(*how, "--mode", "say_then_map", "--seed", 2, "--name", "x")


def test_survey_run_writes_what_the_ending_names(
    command: Callable[..., str], tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SPSS and a Parquet file hold what they should; an unknown ending is told before asking."""
    pandas, _ = pytest.importorskip("pandas"), pytest.importorskip("pyreadstat")
    file = EVERY.save(tmp_path / "garden.yaml")
    how = ("survey", "run", file, "--corpus", store, "--preset", "tiny", "--user", "ada")
    assert "1 simulated respondent written" in command(*how, "--out", tmp_path / "a.sav")
    assert list(pandas.read_spss(tmp_path / "a.sav")["respondent"]) == ["ada"]
    command(*how, "--out", tmp_path / "a.parquet")
    rows = pandas.read_parquet(tmp_path / "a.parquet")
    assert set(rows["respondent"]) == {"ada"}
    assert rows["simulated"].all()
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: pytest.fail("it asked"))
    with pytest.raises(SurveyFileError, match=r"a\.xlsx' must end with one of \.jsonl, \.csv"):
        command(*how, "--out", tmp_path / "a.xlsx")


def test_survey_check_shows_the_instrument_or_all_that_is_wrong(
    command: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A good instrument is listed; a bad one is an error with the next step."""
    printed = command("survey", "check", EVERY.save(tmp_path / "garden.yaml"))
    assert 'drink == "tea"' in printed
    assert "10 questions, digest" in printed
    bad = tmp_path / "bad.json"
    bad.write_text('{"title": "T", "questions": [{"type": "likert", "id": "q", "text": "?"}]}')
    monkeypatch.setattr(sys, "argv", ["usersim", "survey", "check", str(bad)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "question 'q': a scale needs labels" in " ".join(capsys.readouterr().err.split())


def test_survey_elicitation_prints_both_modes(command: Callable[..., str], store: Path) -> None:
    """The command prints counts, both scores and a verdict in words."""
    printed = command("survey", "elicitation", "--corpus", store, "--limit", 3)
    assert "direct " in printed
    assert "of 3 right" in printed
    assert "say_then_map - direct: accuracy" in printed
