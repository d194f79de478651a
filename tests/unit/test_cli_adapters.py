"""Adapters on the command line: which one answers is named, chosen, listed and removed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.people import engine, person
from tests.fixtures.trained import DIGEST, put_adapter
from usersim import Corpus
from usersim.cli.app import app
from usersim.corpus import adapter_named
from usersim.engines import Engine
from usersim.errors import AdapterLoadError, ArtifactError, ConfigError, UsersimError
from usersim.simulator import adapters, face

THOUGHT = "A quiet day calls for tea."


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two people."""
    path = tmp_path / "people.usersim.db"
    with Corpus.open(path) as corpus:
        corpus.add([*person("ada", 4), *person("bob", 4, "market")])
    return path


@pytest.fixture
def corpus(store: Path) -> Iterator[Corpus]:
    """The same, open."""
    with Corpus.open(store) as opened:
        yield opened


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command runs the scripted engine, which stands for the model of the adapters."""

    def load(*_names: object, **_how: object) -> Engine:
        return engine(reasoning=THOUGHT)

    monkeypatch.setattr(face, "load_engine", load)
    monkeypatch.setattr(adapters, "model_folder", lambda name: name)
    monkeypatch.setattr(adapters, "model_digest", lambda _folder: DIGEST)


def run(*arguments: object) -> tuple[str, str]:
    """Run a command that succeeds; return its standard output and standard error."""
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, " ".join(result.stderr.split())


def refused(*arguments: object) -> UsersimError:
    """Run a command that fails; return its error."""
    with pytest.raises(UsersimError) as caught:
        CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    return caught.value


def made(corpus: Corpus, name: str, *users: str, **changes: object) -> str:
    """Put an adapter of the embedded model into the store and return its name."""
    folder = corpus.adapters_root
    changes = {"base_model": "embedded", **changes}
    return put_adapter(corpus, folder, name, *users, **changes).ref.name  # type: ignore[arg-type]


def adapter_of(printed: str) -> str | None:
    """The adapter in an answer that was printed as JSON."""
    return json.loads(printed)["trace"]["adapter"]


def test_what_was_trained_answers_without_being_named(store: Path, corpus: Corpus) -> None:
    """`respond` takes the person's newest adapter; `--adapter` chooses another or none."""
    old, new = made(corpus, "ada-old", "ada"), made(corpus, "ada-new", "ada")
    asked = ("respond", "Tea?", "-c", store, "-u", "ada", "--json")
    assert adapter_of(run(*asked)[0]) == new
    assert adapter_of(run(*asked, "--adapter", "ada-old")[0]) == old
    assert adapter_of(run(*asked, "--adapter", adapter_named(corpus.ledger, old).path)[0]) == old
    assert adapter_of(run(*asked, "--adapter", "none")[0]) is None
    assert new in run(*asked[:-1])[0]


def test_a_run_and_a_survey_name_the_adapter_that_answers(
    store: Path, corpus: Corpus, tmp_path: Path
) -> None:
    """It stands on standard error as soon as answers are drawn, and in the written rows."""
    shared = made(corpus, "shared", "ada", "bob")
    requests, out = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    requests.write_text('{"user_id": "bob", "context": "Tea?"}\n', encoding="utf-8")
    _, told = run("simulate", requests, "-c", store, "--out", out)
    assert f"adapter: {shared}" in told
    assert json.loads(out.read_text(encoding="utf-8"))["adapter"] == shared
    instrument = tmp_path / "drinks.json"
    instrument.write_text(
        json.dumps({"title": "D", "questions": [{"type": "yes_no", "id": "tea", "text": "Tea?"}]}),
        encoding="utf-8",
    )
    _, told = run("survey", "run", instrument, "-c", store)
    assert f"adapter: {shared}" in told


def test_an_untrained_answer_says_that_the_adapters_are_of_another_model(
    store: Path, corpus: Corpus
) -> None:
    """Somebody who trained with --model large and forgot it is told so."""
    made(corpus, "ada", "ada", base_model="large", base_model_digest="c" * 64)
    printed, told = run("respond", "Tea?", "-c", store, "-u", "ada", "--json")
    assert adapter_of(printed) is None
    assert "trained on 'large'" in told


@pytest.mark.parametrize(
    ("choice", "error", "said"),
    [
        ("nobody", ConfigError, "'nobody'"),
        ("bob", ConfigError, "'bob' alone"),
        ("large", AdapterLoadError, "'large'"),
    ],
)
def test_an_adapter_that_cannot_answer_is_refused_by_every_command(
    choice, error, said, store: Path, corpus: Corpus, tmp_path: Path
) -> None:
    """Unknown, somebody else's, another model's: no command answers by the base model instead."""
    made(corpus, "bob", "bob")
    made(corpus, "large", "ada", base_model="large", base_model_digest="c" * 64)
    requests = tmp_path / "requests.jsonl"
    requests.write_text('{"context": "Tea?"}\n', encoding="utf-8")
    for command in (("respond", "Tea?"), ("simulate", requests), ("serve",), ("mcp",)):
        found = refused(*command, "-c", store, "-u", "ada", "--adapter", choice)
        assert isinstance(found, error)
        assert said in str(found)


def test_a_damaged_default_is_refused_by_name(store: Path, corpus: Corpus) -> None:
    """Weights that were altered after the training end in an error, before any answer."""
    name = made(corpus, "ada", "ada")
    (Path(adapter_named(corpus.ledger, name).path) / "adapter_model.safetensors").write_bytes(b"x")
    for command in (("respond", "Tea?"), ("serve",), ("mcp",)):
        found = refused(*command, "-c", store, "-u", "ada")
        assert isinstance(found, ArtifactError)
        assert name in str(found)
    assert not list(corpus.ledger.responses())


def test_how_good_an_adapter_is_stands_in_a_narrow_list(store: Path, corpus: Corpus) -> None:
    """At 80 columns the held-out figures stay, for which the list is read; the date goes first."""
    made(corpus, "ada-recon-select-96a04512", "ada")
    head = run("adapters", "-c", store)[0].splitlines()[0]
    assert ("held out" in head, "trained" in head) == (True, False)


def test_adapters_are_listed_with_the_default_and_removed(store: Path, corpus: Corpus) -> None:
    """A table or JSON; removing asks first, takes the folder along and says so."""
    old, new = made(corpus, "ada-old", "ada"), made(corpus, "ada-new", "ada")
    printed, _ = run("adapters", "-c", store)
    (line,) = (line for line in printed.splitlines() if new in line)
    assert re.search(r" ada +\d{4}-\d\d-\d\d \d\d:\d\d .* ada$", line), "whole at 80 columns"
    assert " MB " in run("adapters", "-c", store, "--wide")[0]
    listed = json.loads(run("adapters", "-c", store, "--json")[0])
    assert [(one["name"], one["default_for"]) for one in listed] == [(old, None), (new, "ada")]
    kept = CliRunner().invoke(app, ["adapters", "remove", new, "-c", str(store)], input="n\n")
    assert kept.exit_code == 1
    folder = Path(adapter_named(corpus.ledger, new).path)
    printed, _ = run("adapters", "remove", "ada-new", "-c", store, "--yes")
    assert f"removed adapter {new!r}" in printed
    assert not folder.exists()
    assert [one.name for one in corpus.ledger.adapters()] == [old]
    run("adapters", "--corpus", store, "remove", old, "--yes")
    assert "no adapters; `usersim train` makes one" in run("adapters", "-c", store)[0]
    assert "'ada-new'" in str(refused("adapters", "remove", "ada-new", "-c", store, "--yes"))
    assert "--corpus" in refused("adapters").hint
