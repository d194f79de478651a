"""What commands print: lists, failures, progress, exit statuses; at 80 columns and in pipes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from inspect import signature, unwrap
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.progress import Progress, TextColumn
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

import usersim
from tests.fixtures.people import DRINKS, engine, person
from tests.fixtures.words import PYTHON
from usersim import Corpus
from usersim.cli import progress
from usersim.cli.app import app, main
from usersim.cli.codes import ExitCode
from usersim.cli.console import console
from usersim.cli.failures import print_reasons
from usersim.cli.progress import LINE_SECONDS, Lines, Times
from usersim.corpus import RefusedRow, RefusedRows
from usersim.evaluation import DEFAULT_ARMS
from usersim.simulator import UserSimulator, face
from usersim.transcript import REASONING_STOP

CLI = Path(usersim.__file__).parent / "cli"
ROOT = Path(__file__).parents[2]
LONG = "a-run-with-a-name-that-says-all-about-the-wave-and-the-panel-of-2026"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal that everybody has."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two people."""
    path = tmp_path / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add([*person("ada", 6), *person("bob", 6)])
    return str(path)


@pytest.fixture
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs the scripted engine; questions with `Bad` cannot be reasoned about."""

    def thought(request: object, _: int) -> str:
        return f"{'' if 'Bad' in str(request) else 'I like it.'}\n{REASONING_STOP}"

    model = engine(reasoning=thought, action="With milk.")
    monkeypatch.setattr(face, "load_engine", lambda *_, **__: model)


def lines(path: Path, rows: list[dict[str, object]]) -> Path:
    """A file of rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def invoke(*arguments: object):  # type: ignore[no-untyped-def]
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)


def status_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str]:
    """Run a command as the shell does; return its status and what it printed."""
    monkeypatch.setattr(sys, "argv", ["usersim", *map(str, arguments)])
    status = 0
    try:
        main()
    except SystemExit as end:
        status = int(end.code or 0)
    return status, "".join(capsys.readouterr())


# ---------------------------------------------------------------------- lists


@pytest.mark.usefixtures("_scripted")
def test_names_and_dates_are_whole_at_80_columns(store: str, tmp_path: Path) -> None:
    """A long name and its date stand on one line; what is left out is said, `--wide` has it."""
    asked = lines(tmp_path / "r.jsonl", [{"user_id": "ada", "context": "Tea?"}])
    assert invoke("simulate", asked, "-c", store, "--name", LONG).exit_code == 0
    result = invoke("runs", "-c", store)
    (line,) = [line for line in result.stdout.splitlines() if LONG in line]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", line)
    assert "columns left out: requests, state" in " ".join(result.stderr.split())
    assert "forgotten" not in result.stdout + result.stderr, "zeros are no news"
    wide = invoke("runs", "-c", store, "--wide")
    assert "without reasoning" in wide.stdout
    assert wide.stderr == ""
    (run,) = json.loads(invoke("runs", "-c", store, "--json").stdout)
    assert (run["run"], run["done"], run["state"]) == (LONG, 1, "complete")
    assert run["started"].endswith("+00:00") or run["started"].endswith("Z")


def test_columns_are_aligned_whatever_stands_in_them(tmp_path: Path) -> None:
    """Wide characters, markup and line ends neither break a line nor shift a column."""
    names = ["ada", "小林さん", "[bold]x[/bold]", "a\nb"]
    with Corpus.open(tmp_path / "s.db") as corpus:
        corpus.add([row for name in names for row in person(name, 3)])
    printed = invoke("users", "-c", tmp_path / "s.db", "--wide").stdout.splitlines()
    assert len(printed) == 1 + len(names)
    assert any("[bold]x[/bold]" in line for line in printed)
    ends = {len(line.encode("utf-16-le")) for line in printed if "さ" not in line}
    assert len(ends) <= 2, "columns are shifted"


def _listing(command: typer.models.CommandInfo) -> bool:
    written = unwrap(command.callback)
    source = ast.parse(Path(written.__code__.co_filename).read_text(encoding="utf-8"))
    (function,) = [
        node
        for node in source.body
        if isinstance(node, ast.FunctionDef) and node.name == written.__name__
    ]
    called = {
        node.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return bool(called & {"print_rows", "print_json"})


def _commands() -> dict[str, typer.models.CommandInfo]:
    groups = {"": app} | {one.name: one.typer_instance for one in app.registered_groups}
    return {
        f"{group} {one.name or one.callback.__name__}".strip(): one
        for group, made in groups.items()
        for one in made.registered_commands
    } | {
        group: made.registered_callback
        for group, made in groups.items()
        if group and made.info.invoke_without_command
    }


def test_every_listing_command_prints_json() -> None:
    """A command that prints a list takes `--json`; no command draws a table of its own."""
    listing = {name for name, one in _commands().items() if _listing(one)}
    assert {
        "users",
        "show",
        "trace",
        "runs",
        "survey check",
        "study power",
        "study pool",
        "study transfer",
        "adapters",
        "survey estimate",
    } <= listing
    for name in listing:
        assert "as_json" in _commands()[name].callback.__annotations__, name
    drawn = {path.name for path in CLI.glob("*.py") if "Table(" in path.read_text("utf-8")}
    assert drawn == {"demo.py"}, "a list that does not go through tables.py"


def test_json_lists_can_be_read_by_programs(store: str) -> None:
    """Users and interactions have every field, unformatted, whatever the width."""
    users = json.loads(invoke("users", "-c", store, "--json").stdout)
    assert users[0] == {
        "user": "ada",
        "interactions": 6,
        "train": 5,
        "held_out": 1,
        "kinds": ["choice", "free_text", "scale"],
    }
    shown = json.loads(invoke("show", "ada", "-c", store, "--json", "--limit", 2).stdout)
    assert [row["position"] for row in shown] == [4, 5]
    assert shown[0]["options"] == ["disagree", "neutral", "agree"]
    assert shown[0]["context"][0]["content"] == "Question 4 about the garden for ada?"


# ---------------------------------------------------------------------- simulate


@pytest.mark.usefixtures("_scripted")
def test_simulate_shows_the_first_answers_and_every_failure(store: str, tmp_path: Path) -> None:
    """Without `--out`: where the answers are, the first ones, each reason once with its count."""
    asked = [{"user_id": "ada", "context": f"Question {n}?"} for n in range(7)]
    asked += [{"user_id": "bob", "context": f"Bad question {n}?"} for n in range(7)]
    closed = {"options": list(DRINKS.options), "action_type": "choice"}
    asked += [{"user_id": "bob", "context": "Bad drinks?", **closed}]
    path = lines(tmp_path / "r.jsonl", asked)
    result = invoke("simulate", path, "-c", store, "--name", "w")
    out, err = result.stdout, " ".join(result.stderr.split())
    assert result.exit_code == 0
    assert "run w: 8 done (1 without readable reasoning), 7 failed, 0 left of 15" in out
    assert f"answers are stored in {store}" in out
    assert out.count("With milk.") == 5
    assert "rerun the command with --out FILE" in out
    assert "7 failed (row 8 of 'bob', row 9 of 'bob'" in err
    assert [line.split()[0] for line in out.splitlines() if "With milk." in line] == list("12345")
    assert err.count("drawn traces was readable") == 1
    again = invoke("simulate", "-c", store, "--name", "w", "--out", tmp_path / "a.jsonl")
    assert "15 rows written to" in again.stdout
    assert "With milk." not in again.stdout


@pytest.mark.parametrize(
    ("rows", "options", "status"),
    [
        ([("ada", "Tea?")], (), ExitCode.OK),
        ([("ada", "Tea?"), ("eve", "Tea?")], (), ExitCode.OK),
        ([("ada", "Tea?"), ("eve", "Tea?")], ("--strict",), ExitCode.INCOMPLETE),
        ([("ada", "Tea?"), ("ada", "Bad?")], (), ExitCode.OK),
        ([("ada", "Tea?"), ("ada", "Bad?")], ("--strict",), ExitCode.INCOMPLETE),
        ([("ada", "Bad?")], (), ExitCode.INCOMPLETE),
        ([("eve", "Tea?")], (), ExitCode.INCOMPLETE),
    ],
)
@pytest.mark.usefixtures("_scripted")
def test_simulate_ends_with_the_status_of_what_it_did(  # type: ignore[no-untyped-def]
    rows, options, status, store, tmp_path, monkeypatch, capsys
) -> None:
    """Nothing answered is not 0; with `--strict` neither is a refused row or a failed request."""
    path = lines(tmp_path / "r.jsonl", [{"user_id": u, "context": c} for u, c in rows])
    found, printed = status_of(monkeypatch, capsys, "simulate", path, "-c", store, *options)
    assert found == status, printed


@pytest.mark.usefixtures("_scripted")
def test_a_closed_question_fails_without_reasoning_where_that_is_asked(  # type: ignore[no-untyped-def]
    store, tmp_path
) -> None:
    """`--require-reasoning` reaches the settings of the run."""
    closed = {"options": list(DRINKS.options), "action_type": "choice"}
    path = lines(tmp_path / "r.jsonl", [{"user_id": "bob", "context": "Bad drinks?", **closed}])
    result = invoke("simulate", path, "-c", store, "--require-reasoning")
    assert result.exit_code == ExitCode.INCOMPLETE
    assert "0 done, 1 failed" in result.stdout


# ---------------------------------------------------------------------- load


@pytest.mark.parametrize(
    ("rows", "options", "status"),
    [
        ([{"user_id": "ada", "context": "Tea?", "action": "Yes."}], (), ExitCode.OK),
        ([{"user_id": "ada", "context": "Tea?"}] * 3, (), ExitCode.INCOMPLETE),
        (
            [{"user_id": "ada", "context": "Tea?", "action": "Yes."}, {"user_id": "ada"}],
            ("--strict",),
            ExitCode.INCOMPLETE,
        ),
    ],
)
def test_load_ends_with_the_status_of_what_it_kept(  # type: ignore[no-untyped-def]
    rows, options, status, tmp_path, monkeypatch, capsys
) -> None:
    """Nothing kept is not 0, and neither is a refused row under `--strict`."""
    path = lines(tmp_path / "rows.jsonl", rows)
    found, printed = status_of(monkeypatch, capsys, "load", path, *options)
    assert found == status, printed
    assert not PYTHON.search(printed), printed
    if status == ExitCode.OK:
        assert status_of(monkeypatch, capsys, "load", path)[0] == status, "loaded again"


def test_an_error_of_many_rows_is_told_once(tmp_path: Path) -> None:
    """Its column, its count, the first rows and values; the most frequent reason comes first."""
    good = {"user_id": "ada", "context": "Tea?", "action": "Yes."}
    bad = [{**good, "action_type": f"kind {n}"} for n in range(57)]
    path = lines(tmp_path / "rows.jsonl", [good, {**good, "action": ""}, *bad])
    printed = invoke("load", path).stdout
    many, one, more = [line.strip() for line in printed.splitlines()][-4:-1]
    assert many.startswith("57 rows (3, 4, 5, …): action_type 'kind 0', 'kind 1', 'kind 2', … ")
    assert one.startswith("row 2: action '' ")
    assert more == "--refused FILE writes all of them"


def test_reasons_are_counted_in_flat_memory() -> None:
    """However many different reasons there are, a bounded number is kept, and no row is lost."""
    rows = RefusedRows()
    for n in range(1000):
        name = "".join(chr(97 + int(digit)) for digit in str(n))
        rows.add(RefusedRow(number=n, field=f"f{name}", value=n, reason="is bad", row={}))
    groups = rows.groups()
    assert sum(group.count for group in groups) == 1000
    assert len(groups) <= 201
    assert "and 1 row for" not in rows.lines("", limit=1)[1]
    assert rows.lines("", limit=1)[1].startswith("and ")


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, False), (2.5, True)], ids=["fast", "slow"])
def test_respond_is_not_silent_while_a_model_loads(
    seconds: float, shown: bool, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes long to load is named on standard error; a fast one prints no line."""

    def load(*_: object, **__: object) -> object:
        time.sleep(seconds)
        return engine(action="With milk.")

    monkeypatch.setattr(face, "load_engine", load)
    monkeypatch.setattr(progress, "LINE_SECONDS", 1.0)
    result = invoke("respond", "Tea?", "-c", store, "-u", "ada")
    assert ("load the model: 0 of 1" in result.stderr) is shown
    assert "With milk." in result.stdout


def test_a_reason_that_differs_only_in_what_was_drawn_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Twelve texts that are no numbers are one line; a single one is quoted."""
    reason = "none of the drawn actions is a valid number: '{}' is not a number"
    print_reasons((f"trips of {n}", reason.format(f"Tea {n}.")) for n in range(12))
    print_reasons([("trips of 'ada'", reason.format("It's tea."))])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("12 failed (trips of 0, trips of 1")
    assert said[0].endswith("valid number: '…' is not a number")
    assert "'It's tea.'" in said[1]


def test_a_line_is_never_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is longer than the terminal is wide can be copied from one line."""
    path = "/".join(["a-folder"] * 20)
    console.print(Text(f"adapter: {path}"))
    assert capsys.readouterr().out == f"adapter: {path}\n"


# ---------------------------------------------------------------------- defaults


def test_python_and_the_command_line_compare_the_same_arms() -> None:
    """`usersim evaluate` and `sim.evaluate()` have one default, from one place."""
    (arms,) = [one for one in dict(leaves())["evaluate",].params if one.name == "arms"]
    assert str(arms.default).split(",") == list(DEFAULT_ARMS)
    assert signature(UserSimulator.evaluate).parameters["arms"].default is DEFAULT_ARMS


# ---------------------------------------------------------------------- statuses


def test_the_page_lists_every_status() -> None:
    """The documented statuses are those of the code, and the code has no others."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    table = page.partition("## Exit status")[2].partition("\n## ")[0]
    assert {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(ExitCode)
    for path in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                "sys.exit", "os._exit", "typer.Exit", "exit", "SystemExit",
            }:  # fmt: skip
                literal = [one for one in node.args if isinstance(one, ast.Constant)]
                assert not literal, f"{path.name}:{node.lineno}: a status that is not in codes.py"


def leaves() -> list[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by its path."""
    found: list[tuple[tuple[str, ...], Any]] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        path, command = waiting.pop()
        waiting += [((*path, name), one) for name, one in getattr(command, "commands", {}).items()]
        if getattr(command, "invoke_without_command", True) and path:
            found.append((path, command))
    return sorted(found, key=lambda one: one[0])


def named(command: Any, tmp_path: Path) -> list[str]:
    """What a command cannot do without, its store left out."""
    there = lines(
        tmp_path / "there.yaml",
        [{"title": "T", "questions": [{"id": "a", "type": "yes_no", "text": "Tea?"}]}],
    )
    given: list[str] = []
    for one in command.params:
        if not one.required or one.name == "corpus":
            continue
        value = str(there) if one.type_descriptor.annotation is Path else "1"
        given += [one.opts[0], value] if one.opts[0].startswith("-") else [value]
    return given


WITHOUT = {("cache", "verify"), ("demo",), ("prepare",), ("serve-engine",)}
"""Commands that may be called with nothing more than their name."""
MAKES_ITS_STORE = {("load",), ("demo",)}


@pytest.mark.parametrize("path", [path for path, _ in leaves()], ids=" ".join)
def test_a_wrong_command_line_is_one_status(path, monkeypatch, capsys, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Every command ends with 2 for an unknown option, a missing one and a store not there."""
    monkeypatch.chdir(tmp_path)
    command = dict(leaves())[path]
    wrong: list[list[object]] = [["--no-such-option"]]
    wrong += [] if path in WITHOUT else [[]]
    if "corpus" in {one.name for one in command.params} and path not in MAKES_ITS_STORE:
        wrong.append([*named(command, tmp_path), "-c", tmp_path / "nowhere.db"])
    for arguments in wrong:
        found, printed = status_of(monkeypatch, capsys, *path, *arguments)
        assert found == ExitCode.USAGE, (arguments, printed)


@pytest.mark.parametrize(
    "arguments",
    [
        ("forget", "-c", "STORE"),
        ("forget", "ada", "--finish", "--mentions", "-c", "STORE"),
        ("forget", "eve", "-c", "STORE"),
        ("show", "eve", "-c", "STORE"),
        ("trace", "feed", "-c", "STORE"),
        ("adapters", "remove", "nothing", "-y", "-c", "STORE"),
        ("respond", "Tea?", "-u", "ada", "--predictors", "magic", "-c", "STORE"),
        ("respond", "Tea?", "-u", "eve", "-c", "STORE"),
        ("respond", "Tea?", "-u", "ada", "--adapter", "nothing", "-c", "STORE"),
        ("respond", "Tea?", "-u", "ada", "--engine", "remote", "-c", "STORE"),
        ("simulate", "--name", "nothing", "-c", "STORE"),
        ("simulate", "--dry-run", "-c", "STORE"),
        ("explore", "--measure", "-c", "STORE"),
        ("evaluate", "FILE", "--arms", "magic"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("_scripted")
def test_options_that_do_not_fit_are_the_same_status(  # type: ignore[no-untyped-def]
    arguments, store, tmp_path, monkeypatch, capsys
) -> None:
    """Options that are missing, exclude each other or name nothing that is there end with 2."""
    monkeypatch.chdir(tmp_path)
    path = lines(tmp_path / "rows.jsonl", [{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
    given = [{"STORE": store, "FILE": str(path)}.get(one, one) for one in arguments]
    found, printed = status_of(monkeypatch, capsys, *given)
    assert found == ExitCode.USAGE, printed


@pytest.mark.usefixtures("_scripted")
def test_requests_are_counted_as_refused_rows_are(store: str, tmp_path: Path) -> None:
    """Answers, failures and refused rows are named by their row in the file, from 1."""
    asked = [
        {"user_id": "ada", "context": "Tea?"},
        {"user_id": "eve", "context": "Tea?"},
        {"user_id": "bob", "context": "Bad?"},
        {"user_id": "bob", "context": "Milk?"},
    ]
    path = lines(tmp_path / "r.jsonl", asked)
    result = invoke("simulate", path, "-c", store, "--out", tmp_path / "a.jsonl")
    err = " ".join(result.stderr.split())
    assert "row 2: user_id 'eve'" in err
    assert "1 failed (row 3 of 'bob')" in err
    written = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [one["row"] for one in written] == [1, 3, 4]
    again = invoke("simulate", path, "-c", store)
    assert [one.split()[0] for one in again.stdout.splitlines() if "With milk" in one] == ["1", "4"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("users", "-c", "nowhere.db"), ExitCode.USAGE),
        (("adapters",), ExitCode.USAGE),
        (("users",), ExitCode.USAGE),
        (("--version",), ExitCode.OK),
    ],
)
def test_a_process_ends_with_its_status(arguments, status, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The shell sees what the page says."""
    code = "from usersim.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == status, done.stderr


# ---------------------------------------------------------------------- progress


def test_a_pipe_has_a_line_every_half_minute() -> None:
    """The first line comes at once; a stage's end and labeled times are always said."""
    said: list[str] = []
    now = [0.0]
    made = Lines(said.append, now=lambda: now[0])
    for second in range(0, 100, 5):
        now[0] = float(second)
        made.report("score", second // 5, 20)
        made.tick()
    now[0] = 100.0
    made.report("score", 20, 20)
    made.report("score", 20, 20)
    assert said == [
        "score: 0 of 20, elapsed 0:00, remaining -:--",
        "score: 6 of 20, elapsed 0:30, remaining 1:10",
        "score: 12 of 20, elapsed 1:00, remaining 0:40",
        "score: 18 of 20, elapsed 1:30, remaining 0:10",
        "score: 20 of 20, elapsed 1:40",
    ]


def test_a_bar_labels_its_times() -> None:
    """In a terminal too, what has passed and what is left are told apart by name."""
    now = [0.0]
    bars = Progress(TextColumn("{task.description}"), Times(), get_time=lambda: now[0])
    task = bars.add_task("score", total=30)
    assert str(Times().render(bars.tasks[0])) == "elapsed 0:00, remaining -:--"
    for second, done, said in (
        (
            84.0,
            10,
            "elapsed 1:24, remaining 2:48",
        ),  # a step of minutes: there is a pace all the same
        (120.0, 20, "elapsed 2:00, remaining 1:00"),
        (150.0, 30, "elapsed 2:30, remaining 0:00"),
    ):
        now[0] = second
        bars.update(task, completed=done)
        assert str(Times().render(bars.tasks[0])) == said


def test_what_an_earlier_run_did_is_no_pace_of_this_one() -> None:
    """A resumed stage begins in the middle; the rest is reckoned from its own steps."""
    said: list[str] = []
    now = [0.0]
    made = Lines(said.append, now=lambda: now[0])
    made.report("score", 80, 100)
    now[0] = 60.0
    made.report("score", 90, 100)
    assert said == [
        "score: 80 of 100, elapsed 0:00, remaining -:--",
        "score: 90 of 100, elapsed 1:00, remaining 1:00",
    ]
    bars = Progress(Times(), get_time=lambda: now[0])
    task = bars.add_task("score", total=100, completed=80, found=80)
    now[0] = 120.0
    bars.update(task, completed=90)
    assert str(Times().render(bars.tasks[0])) == "elapsed 1:00, remaining 1:00"


def test_a_silent_stage_is_heard_of_all_the_same() -> None:
    """A step that takes minutes does not silence the lines."""
    said: list[str] = []
    now = [0.0]
    made = Lines(said.append, now=lambda: now[0])
    made.report("train", 0, 4)
    made.report("train", 1, 4)
    for _ in range(4):
        now[0] += LINE_SECONDS
        made.tick()
    assert len(said) == 5
    assert said[-1] == "train: 1 of 4, elapsed 2:00, remaining 6:00"


def test_a_stage_that_comes_again_has_its_own_clock() -> None:
    """The same name for another arm begins at zero; one that was stored ends as it begins."""
    said: list[str] = []
    now = [0.0]
    made = Lines(said.append, now=lambda: now[0])
    made.report("predict", 0, 2)
    now[0] = 50.0
    made.report("predict", 2, 2)
    now[0] = 90.0
    made.report("predict", 0, 2)
    made.report("stored", 3, 3)
    assert said[1:] == [
        "predict: 2 of 2, elapsed 0:50",
        "predict: 0 of 2, elapsed 0:00, remaining -:--",
        "stored: 3 of 3, elapsed 0:00",
    ]
