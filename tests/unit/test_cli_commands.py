"""The command line: what it prints, what it refuses, and with which status it ends."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import usersim
from tests.fixtures.children import Nursery
from tests.fixtures.people import engine, person
from usersim import Corpus, UserSimulator
from usersim.cli.app import app, main
from usersim.simulator import face

THOUGHT = "It says fine to me on such a day."


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are not broken in the middle of what a test looks for."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of two people, and one row that is refused."""
    path = tmp_path / "people.jsonl"
    rows = [*person("ada", 15), *person("bob", 5), {"user_id": "ada", "context": "No action?"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def store(source: Path) -> str:
    """Its store."""
    path = source.with_name("people.usersim.db")
    with Corpus.open(path) as corpus:
        corpus.add(source)
    return str(path)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs the scripted engine."""
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: engine(reasoning=THOUGHT))


def run(*arguments: object) -> str:
    """Run a command that succeeds and return what it printed."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str]:
    """Run a command that fails; return its status and standard error."""
    monkeypatch.setattr(sys, "argv", ["usersim", *(str(one) for one in arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return int(caught.value.code or 0), " ".join(err.split())


# ---------------------------------------------------------------------- corpus


def test_load_stores_beside_the_file_and_reports(source: Path, tmp_path: Path) -> None:
    """Rows kept and refused are told, and refused rows are written where asked."""
    rejects = tmp_path / "refused.jsonl"
    printed = run("load", source, "--refused", rejects)
    assert "kept 20, already present 0, merged duplicates 0, refused 1" in printed
    assert "row 21: action is missing" in printed
    assert f"stored in {tmp_path / 'people.usersim.db'}" in printed
    (row,) = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert (row["user_id"], row["context"]) == ("ada", "No action?")
    assert row["_refused"] == {
        "number": 21, "field": "action", "value": None, "reason": "is missing",
    }  # fmt: skip
    assert "kept 0, already present 20, merged duplicates 0, refused 1" in run("load", source)
    with Corpus.open(tmp_path / "people.usersim.db") as corpus:
        assert [(one.user_id, one.interactions) for one in corpus.users()] == [
            ("ada", 15), ("bob", 5),
        ]  # fmt: skip


def test_mended_rows_are_loaded_again(source: Path, tmp_path: Path) -> None:
    """What was refused and mended goes in by the same command."""
    rejects = tmp_path / "refused.jsonl"
    store = tmp_path / "c.db"
    run("load", source, "--corpus", store, "--refused", rejects)
    rows = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    with rejects.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps({**row, "action": "Yes."}) + "\n" for row in rows)
    run("load", rejects, "--corpus", store)
    with Corpus.open(store) as corpus:
        assert sum(user.interactions for user in corpus.users()) == 21


def test_users_are_listed(store: str) -> None:
    """One line for each person, with counts and kinds."""
    printed = run("users", "--corpus", store)
    (ada,) = [line for line in printed.splitlines() if "ada" in line]
    assert re.split(r"\s{2,}", ada) == ["ada", "15", "12", "3", "choice, free_text, scale"]


def test_show_prints_the_newest_rows(store: str) -> None:
    """Contexts and answers, oldest first, no more than asked; markup stays text."""
    printed = run("show", "ada", "--corpus", store, "--limit", "2")
    assert printed.count("ada: ") == 2
    assert printed.index("Question 13") < printed.index("Question 14")
    assert "held_out" in printed
    with Corpus.open(store) as corpus:
        corpus.add([{"user_id": "eve", "context": "[bold]Hi[/bold]", "action": "[red]No[/red]"}])
    hostile = run("show", "eve", "--corpus", store)
    assert "[bold]Hi[/bold]" in hostile
    assert "eve: [red]No[/red]" in hostile


def test_trace_explains_by_the_beginning_of_a_key(store: str) -> None:
    """A trace and its interaction are found by a prefix; every candidate has its verdict."""
    with Corpus.open(store) as corpus:
        sim = UserSimulator(corpus, user_id="ada", engine=engine(reasoning=THOUGHT))
        found = sim.reconstruct()
        key = next(k for k, s in found.selections.items() if s.kept)
        (kept,) = [s for s in found.scored[key] if s.candidate.key == found.selections[key].kept]
    by_interaction = run("trace", key[:12], "--corpus", store)
    by_trace = run("trace", kept.candidate.key[:12], "--corpus", store)
    for printed in (by_interaction, by_trace):
        assert kept.candidate.key[:8] in printed
        assert "gain" in printed
    assert "kept" in by_interaction.lower()


def test_trace_explains_each_decision_about_an_interaction(store: str) -> None:
    """Traces of two writers were decided on apart: each stands under its own decision."""
    other = engine(reasoning=THOUGHT)
    other._name = "other"
    with Corpus.open(store) as corpus:
        sim = UserSimulator(corpus, user_id="ada", engine=engine(reasoning=THOUGHT))
        key = sim.reconstruct().interactions[0].key
        again = UserSimulator(corpus, user_id="ada", engine=other)
        again.reconstruct()
    printed = run("trace", key, "--corpus", store)
    assert printed.count(f"interaction {key[:12]}: ") == 2
    assert "not among the candidates" not in printed


def test_forget_removes_everything_and_says_what(store: str) -> None:
    """With `--yes` nothing is asked; afterwards the person is gone."""
    printed = run("forget", "bob", "--corpus", store, "--yes")
    assert "removed of user 'bob'" in printed
    assert "interactions: 5" in printed
    listed = run("users", "--corpus", store)
    assert "ada" in listed
    assert "bob" not in listed


def test_forget_asks_first(store: str) -> None:
    """A no leaves everything as it was."""
    result = CliRunner().invoke(app, ["forget", "bob", "--corpus", store], input="n\n")
    assert result.exit_code == 1
    assert "cannot be undone" in result.output
    assert "bob" in run("users", "--corpus", store)


def test_forget_says_what_remains_by_its_status_and_finish_clears_it(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open reader keeps deleted text: status 3 and how to finish; then 0."""
    monkeypatch.setattr("usersim.corpus.store.database._LOG_SECONDS", 0)
    reader = sqlite3.connect(store, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM users").fetchone()
    first = CliRunner().invoke(app, ["forget", "bob", "-c", store, "--yes"])
    assert (first.exit_code, "not erased yet" in first.output) == (3, True)
    assert f"usersim forget bob --finish -c {store}" in first.stderr.replace("\n", "")
    again = CliRunner().invoke(app, ["forget", "--finish", "-c", store])
    assert again.exit_code == 3
    reader.close()
    assert "nothing remains" in run("forget", "bob", "--finish", "-c", store)


def test_forget_names_the_source_beside_the_store(tmp_path: Path) -> None:
    """What the command cannot reach is said, the file that was loaded by its name."""
    source = tmp_path / "people.jsonl"
    row = {"user_id": "ada", "context": "Tea?", "action": "Yes."}
    source.write_text(json.dumps(row) + "\n", encoding="utf-8")
    run("load", source)
    printed = run("forget", "ada", "-c", tmp_path / "people.usersim.db", "--yes")
    assert "people.jsonl" in printed.replace("\n", "")
    assert "restores the person" in printed.replace("\n", " ")


# ---------------------------------------------------------------------- answering


@pytest.mark.usefixtures("scripted")
def test_respond_prints_the_answer_and_its_reasoning(store: str) -> None:
    """Action, reasoning, probabilities and the note that it is simulated."""
    printed = run(
        "respond", "Tea or coffee?", "-c", store, "-u", "ada", "-o", "tea", "-o", "coffee"
    )
    assert THOUGHT in printed
    assert "as ada might answer" in printed
    assert "simulated; the reasoning is the model's account" in printed
    shares = dict(re.findall(r"│ (tea|coffee) +█+ +([\d.]+)", printed))
    assert set(shares) == {"tea", "coffee"}
    assert sum(map(float, shares.values())) == pytest.approx(1, abs=0.011)


@pytest.mark.usefixtures("scripted")
def test_respond_prints_json_that_can_be_read(store: str) -> None:
    """`--json` prints the whole answer and nothing else."""
    arguments = ["respond", "Tea or coffee?", "-c", store, "-u", "ada", "-o", "tea", "-o", "milk"]
    answer = json.loads(run(*arguments, "--json", "--explain", "--seed", "4"))
    assert answer["action"] in {"tea", "milk"}
    assert answer["kind"] == "choice"
    assert answer["influence"]["unit"] == "probability"
    assert answer["simulated"] is True
    again = json.loads(run(*arguments, "--json", "--explain", "--seed", "4"))
    assert again["trace"]["drawn"] == answer["trace"]["drawn"]


# ---------------------------------------------------------------------- runs


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """A file of requests; two rows of it cannot be asked."""
    path = tmp_path / "requests.jsonl"
    rows = [
        {"user_id": "ada", "context": "Town or lake?", "options": ["town", "lake"]},
        {"user_id": "eve", "context": "Town or lake?"},
        {"user_id": "bob", "context": "Which?", "options": ["only"]},
        {"user_id": "bob", "context": "Why?", "metadata": {"wave": 2}},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.usefixtures("scripted")
def test_simulate_answers_a_file_and_goes_on(store: str, requests: Path, tmp_path: Path) -> None:
    """Answers and refusals are told and written; the same command asks nothing again."""
    out, rejects = tmp_path / "answers.jsonl", tmp_path / "rejects.jsonl"
    arguments = ["simulate", requests, "-c", store, "--name", "wave", "--out", out]
    result = CliRunner().invoke(app, [str(one) for one in [*arguments, "--refused", rejects]])
    assert result.exit_code == 0, result.output
    assert "run wave: 2 done, 0 failed, 0 left of 2" in result.stdout
    assert "row 2: user_id 'eve' is not in the corpus" in result.stderr
    assert "row 3: options ['only']" in result.stderr
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["simulated"] for row in answers] == [True, True]
    assert answers[0]["action"] in {"town", "lake"}
    assert answers[1]["metadata"] == {"wave": 2}
    assert len(rejects.read_text(encoding="utf-8").splitlines()) == 2
    assert "2 done" in run("simulate", "-c", store, "--name", "wave")
    with Corpus.open(store) as corpus:
        assert len(list(corpus.ledger.responses())) == 2
    (line,) = [line for line in run("runs", "-c", store).splitlines() if "wave" in line]
    assert re.split(r"\s{2,}", line)[2:] == ["2", "2", "0", "complete"]


@pytest.mark.usefixtures("scripted")
def test_simulate_counts_first_where_asked(store: str, requests: Path) -> None:
    """`--dry-run` prints requests and tokens and leaves no run behind."""
    printed = run("simulate", requests, "-c", store, "--dry-run")
    assert printed.startswith("2 requests, ")
    assert "drawn tokens, 2 rows refused" in printed
    assert json.loads(run("runs", "-c", store, "--json")) == []


@pytest.mark.usefixtures("scripted")
def test_simulate_asks_one_person_where_told(store: str, requests: Path) -> None:
    """`--user` takes that person's rows and says how many were others'."""
    result = CliRunner().invoke(app, ["simulate", str(requests), "-c", store, "-u", "ada"])
    assert "1 done" in result.stdout
    assert "rows of other people left out: 3" in result.stderr


def test_refused_requests_are_not_printed_without_end(store: str, tmp_path: Path) -> None:
    """One reason is told once, and where all rows can be had; the state of a run is told."""
    many = tmp_path / "many.jsonl"
    rows = [{"user_id": "ada", "context": "Tea?"}, *({"user_id": f"e{i}"} for i in range(8))]
    many.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["simulate", str(many), "-c", store, "--engine", "scripted", "--name", "w"]
    result = CliRunner().invoke(app, arguments)
    assert "8 rows (2, 3, 4, …): " in result.stderr
    assert "--refused FILE writes all of them" in result.stderr
    with Corpus.open(store) as corpus:
        corpus.runs.begin("half", "f", {})
        open_run = corpus.runs.begin("open", "g", {})
        corpus.runs.fill(open_run.id, corpus.requests(rows[:1]).lines())
    printed = run("runs", "-c", store)
    assert "requests incomplete" in printed
    assert "resumable" in printed


# ---------------------------------------------------------------------- refusing


@pytest.mark.parametrize(
    ("arguments", "message", "step"),
    [
        (("users", "-c", "nowhere.db"), "there is no corpus at 'nowhere.db'", "usersim load"),
        (("show", "adda", "-c", "STORE"), "no user 'adda'", "ada"),
        (("forget", "adda", "-c", "STORE"), "no user 'adda'", "ada"),
        (("respond", "Tea?", "-c", "STORE"), "holds 2 people", "--user ada"),
        (("respond", " ", "-c", "STORE", "-u", "ada"), "the context must not be empty", ""),
        (("respond", "Tea?", "-c", "STORE", "-u", "ada", "-o", "a"), "two options", "every option"),
        (("respond", "Tea?", "-c", "STORE", "-u", "ada", "--kind", "chioce"), "free_text", ""),
        (("users", "-c", "SOURCE"), "is not a database", "`usersim load`"),
        (("respond", "Tea?", "-c", "STORE", "-u", "ada", "--adapter", "no"), "'no'", ""),
        (("simulate", "-c", "STORE", "--name", "x"), "no run 'x' to resume", "usersim runs"),
        (("simulate", "-c", "STORE", "--dry-run"), "--dry-run needs a file", "usersim simulate"),
        (("runs", "-c", "nowhere.db"), "there is no corpus at 'nowhere.db'", "usersim load"),
        (("trace", "ffffffffffff", "-c", "STORE"), "ffffffffffff", "usersim show"),
    ],
)
@pytest.mark.usefixtures("scripted")
def test_an_error_is_a_message_and_a_next_step(
    arguments, message, step, store, source, capsys, monkeypatch, tmp_path
) -> None:
    """A command line that names what is not there: status 2, what to do next, no new file."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    status, printed = refused(
        capsys,
        monkeypatch,
        *({"STORE": store, "SOURCE": str(source)}.get(one, one) for one in arguments),
    )
    assert status == (1 if "SOURCE" in arguments else 2), "a damaged file is no wrong option"
    assert printed.startswith("error: ")
    assert "()" not in printed, "a function of Python"
    assert message in printed
    assert step in printed
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("respond", "Tea?", "-c", "STORE", "--preset", "huge"),
        ("train", "-c", "STORE", "--traces", "best"),
        ("load", "SOURCE", "--format", "xml"),
        ("load", "no-such-file.jsonl"),
        ("evaluate", "no-such-file.jsonl"),
        ("users",),
        ("simulate", "no-such-file.jsonl", "-c", "STORE"),
        ("simulate", "SOURCE", "-c", "STORE", "--chunk", "0"),
        ("dance",),
    ],
)
def test_what_is_no_choice_is_refused_with_status_2(
    arguments, store, source, capsys, monkeypatch, tmp_path
) -> None:
    """A misspelled choice, a missing file or option never starts any work."""
    monkeypatch.chdir(tmp_path)
    words = {"STORE": store, "SOURCE": source}
    status, _ = refused(capsys, monkeypatch, *(words.get(one, one) for one in arguments))
    assert status == 2


def test_an_unknown_arm_is_refused_before_any_work(source, capsys, monkeypatch, tmp_path) -> None:
    """A misspelled arm ends with the list of arms."""
    status, printed = refused(
        capsys, monkeypatch, "evaluate", source, "--out", tmp_path / "out", "--arms", "recon"
    )
    assert status == 2
    assert "recon_select" in printed
    assert not (tmp_path / "out").exists()


def test_an_arithmetic_for_a_server_is_refused(store, capsys, monkeypatch) -> None:
    """A server computes as it was started: `--dtype` beside its address is not dropped."""
    where = ("--base-url", "http://127.0.0.1:9/v1", "--dtype", "bfloat16")
    status, printed = refused(capsys, monkeypatch, "respond", "Tea?", "-c", store, *where)
    assert status == 2
    assert "dtype 'bfloat16' has no effect on engine 'remote'" in printed


def test_the_version_is_printed() -> None:
    """`--version` prints the version alone."""
    assert run("--version").strip() == usersim.__version__


# ---------------------------------------------------------------------- a real process


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=Path(usersim.__file__).parent.parent,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


LIGHT = """
import sys
sys.argv = ["usersim", {argument!r}]
from usersim.cli import main
try:
    main()
finally:
    heavy = ["torch", "transformers", "peft", "trl", "pandas", "matplotlib"]
    print("loaded:", [name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_loads_no_heavy_library(argument: str) -> None:
    """Help and version are printed without torch and its kin."""
    done = python(LIGHT.format(argument=argument))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
    if argument == "--help":
        for command in (
            "load",
            "users",
            "show",
            "trace",
            "forget",
            "respond",
            "train",
            "evaluate",
            "simulate",
            "runs",
        ):
            assert command in done.stdout


def test_a_command_in_its_own_process_answers(
    store: str, roomy_model: Path, learners: Nursery
) -> None:
    """One real process, with a real model folder: it answers, and the answer is stored."""
    code = "from usersim.cli import main; main()"
    arguments = [
        "respond", "Tea or coffee?", "-c", store, "-u", "ada", "-o", "tea", "-o", "coffee",
        "--model", str(roomy_model), "--preset", "tiny", "--json",
    ]  # fmt: skip
    done = learners.run(code, *arguments)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert all(set(draw["probabilities"]) == {"tea", "coffee"} for draw in answer["trace"]["drawn"])
    assert answer["reasoning"]
    with Corpus.open(store) as corpus:
        (stored,) = corpus.ledger.responses("ada")
    assert stored.record["action"] == answer["action"] in {"tea", "coffee"}


HOSTILE = (
    "hi\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202eevil\n0  train  free_text  000\n  bob: I confess"
)


def test_no_text_of_a_corpus_commands_the_terminal_or_forges_a_turn(tmp_path: Path) -> None:
    """Names, questions and answers with escape sequences and line ends are shown, not sent."""
    rows = [
        {"user_id": f"ada{HOSTILE}", "context": HOSTILE, "action": HOSTILE, "conversation": "c"},
        {"user_id": "ada", "context": HOSTILE, "action": ""},
    ]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    store = tmp_path / "a.db"
    loaded = run("load", source, "--corpus", store)
    users = run("users", "--corpus", store)
    shown = run("show", f"ada{HOSTILE}", "--corpus", store)
    for printed in (loaded, users, shown):
        assert not set(printed) & set("\x1b\x07\x9b\u202e\r")
    assert "␛[2J" in users
    assert "␛[2J" in shown
    assert not [line for line in shown.splitlines() if line.startswith(("  bob: ", "0  train"))][1:]


def test_an_answer_as_json_is_whole_and_commands_no_terminal(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is piped on is the exact text: control characters are escapes of JSON."""
    drawn = "yes\x1b[2J\x9b\u202e\u2028é"
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: engine(action=drawn))
    printed = run("respond", "Tea?", "--corpus", store, "--user", "ada", "--json")
    assert json.loads(printed)["action"] == drawn
    assert not set(printed) & set("\x1b\x9b\u202e\u2028")
    assert "é" in printed


ANSWERING = ("respond", "simulate", "calibrate", "serve", "mcp", "explore", "survey run")
ANSWERING += ("survey elicitation", "survey compare", "fleet simulate")
MODEL = {"model", "engine", "dtype", "preset", "adapter", "base_url", "embed", "retriever"}


@pytest.mark.parametrize("name", ANSWERING)
def test_commands_that_answer_take_the_same_options_of_a_model(name: str) -> None:
    """What chooses model, adapter and evidence is an option of each, once."""
    command = typer.main.get_command(app)
    for part in name.split():
        command = command.commands[part]
    taken = [one.name for one in command.params]
    assert set(taken) >= MODEL
    assert len(set(taken)) == len(taken)
