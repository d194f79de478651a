"""The store: opening, reading back, forgetting, schema versions, retrieval, the ledger."""

import json
import os
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from tests.fixtures.adapters import put
from usersim.corpus import Corpus, Response, loading
from usersim.corpus.store import intact, schema
from usersim.corpus.store.database import Database
from usersim.corpus.store.tables import SCHEMA_VERSION, SEARCH_TABLE, metadata
from usersim.errors import (
    CorpusError,
    CorpusSchemaError,
    MissingDependencyError,
    UserNotFoundError,
)
from usersim.types import Candidate, Leakage, Question, ScoredCandidate, Selection, TraceScores


def rows(user, count=10, topic="tea"):
    """Rows of one user, in time order."""
    return [
        {
            "user_id": user,
            "order": i,
            "context": f"About {topic} number {i}?",
            "action": f"{user} {i}",
        }
        for i in range(count)
    ]


@pytest.fixture
def corpus(tmp_path):
    """A store on disk with two users."""
    with Corpus.open(tmp_path / "c.db") as opened:
        opened.add([*rows("ada"), *rows("bob", 5)])
        yield opened


def test_a_store_comes_back_as_it_was(corpus, tmp_path):
    """Closing and opening changes nothing."""
    digest = corpus.digest()
    corpus.close()
    with Corpus.open(tmp_path / "c.db") as again:
        assert again.digest() == digest
        assert [(u.user_id, u.train, u.held_out) for u in again.users()] == [
            ("ada", 8, 2),
            ("bob", 4, 1),
        ]


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_places_do_not_depend_on_batches(monkeypatch, batch):
    """Users within a batch, across batches, added to later: the same positions and splits."""
    monkeypatch.setattr(loading, "_BATCH_ROWS", batch)
    talks = [{**row, "conversation_id": f"talk {row['order'] // 4}"} for row in rows("cid", 12)]
    source = [*rows("ada")[::-1], *talks, *rows("bob", 5)]
    with Corpus.open(":memory:") as whole, Corpus.open(":memory:") as parts:
        whole.add(source)
        parts.add(source[:8])
        parts.add(source[8:])
        expected = [
            *(("ada", i, "train" if i < 8 else "held_out") for i in range(10)),
            *(("bob", i, "train" if i < 4 else "held_out") for i in range(5)),
            *(("cid", i, "train" if i < 8 else "held_out") for i in range(12)),
        ]
        for corpus in (whole, parts):
            found = [(row.user_id, row.position, row.split) for row in corpus.interactions()]
            assert found == expected
            assert [row.action for row in corpus.history("ada")] == [f"ada {i}" for i in range(8)]


def test_interactions_are_filtered_and_ordered(corpus):
    """By user and position; by split."""
    places = [(item.user_id, item.position) for item in corpus.interactions()]
    assert places == sorted(places)
    assert [item.position for item in corpus.interactions(["ada"], split="held_out")] == [8, 9]


def test_history_is_train_only_and_bounded(corpus):
    """Newest `limit` before `before`, oldest first; held-out rows never."""
    assert [item.position for item in corpus.history("ada")] == list(range(8))
    assert [item.position for item in corpus.history("ada", before=5, limit=2)] == [3, 4]
    assert corpus.history("ada", before=0) == []


def test_an_interaction_is_found_by_a_unique_prefix(corpus):
    """A whole key or a beginning; an ambiguous or unknown one is an error."""
    item = next(corpus.interactions())
    assert corpus.interaction(item.key) == item
    assert corpus.interaction(item.key[:20]) == item
    with pytest.raises(CorpusError, match="no interaction has a key"):
        corpus.interaction("zz")
    with pytest.raises(CorpusError, match="no interaction has a key"):
        corpus.interaction("")
    with Corpus.open(":memory:") as many:
        many.add(rows("ada", 40))
        firsts = [item.key[0] for item in many.interactions()]
        shared = next(digit for digit in firsts if firsts.count(digit) > 1)
        with pytest.raises(CorpusError, match="matches several keys"):
            many.interaction(shared)


def test_an_unknown_user_is_an_error_with_close_matches(corpus):
    """The hint names similar users."""
    with pytest.raises(UserNotFoundError, match="'adda'") as caught:
        corpus.history("adda")
    assert "'ada'" in caught.value.hint


def test_the_digest_depends_on_content_alone(corpus):
    """Not on the order of loading, not on other users."""
    with Corpus.open(":memory:") as other:
        other.add([*rows("bob", 5)[::-1], *rows("ada")])
        assert other.digest() == corpus.digest()
        other.add(rows("eve", 3))
        assert other.digest() != corpus.digest()
        assert other.digest(["ada", "bob"]) == corpus.digest()


def test_an_export_that_cannot_be_written_is_an_error(corpus, tmp_path):
    """The message names the file."""
    with pytest.raises(CorpusError, match="cannot be written"):
        corpus.export(tmp_path / "no" / "x.jsonl")


# Opening what is no store


def test_the_migrations_produce_the_schema():
    """The tables of the code and those of the migrations are the same."""
    database = migrated(":memory:")
    with database.read() as connection:
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _: (
                not (kind == "table" and name.startswith(SEARCH_TABLE))
            ),
        }
        assert (
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        )
    database.close()
    assert ScriptDirectory(str(schema.MIGRATIONS)).get_current_head() == SCHEMA_VERSION


def migrated(url):
    """A store that was made by all migrations, one after the other."""
    database = Database(url)
    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return database


def described(database):
    """Every table of a store with its columns, keys, references, indexes and rules."""
    with database.read() as connection:
        look = inspect(connection)
        return {
            table: {
                "columns": {
                    (one["name"], str(one["type"]), one["nullable"], str(one["default"]))
                    for one in look.get_columns(table)
                },
                "key": look.get_pk_constraint(table),
                "references": sorted(look.get_foreign_keys(table), key=str),
                "unique": sorted(look.get_unique_constraints(table), key=str),
                "indexes": sorted(look.get_indexes(table), key=str),
                "rules": look.get_check_constraints(table),
            }
            for table in look.get_table_names()
        }


def test_a_new_store_is_as_the_migrations_make_one(tmp_path):
    """Created in one go, it has the same tables, and needs no closer look when it is opened."""
    stepwise, at_once = migrated(tmp_path / "a.db"), Database(tmp_path / "b.db")
    schema.prepare(at_once)
    assert described(at_once) == described(stepwise)
    with at_once.read() as connection:
        assert intact.is_as_created(connection)
        intact.check_passive(connection, "b")
        intact.check_intact(connection, "b")
    with stepwise.read() as connection:
        assert not intact.is_as_created(connection)
        intact.check_intact(connection, "a")
    at_once.close()
    stepwise.close()


@pytest.mark.postgres
def test_a_new_store_on_postgres_is_as_the_migrations_make_one(postgres):
    """Created in one go, it has the same tables, down to the sequences of ids."""
    at_once = Database(postgres)
    schema.prepare(at_once)
    found = described(at_once)
    with at_once.write() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    at_once.close()
    stepwise = migrated(postgres)
    assert described(stepwise) == found
    assert "nextval" in str(found["users"]["columns"])
    stepwise.close()


def test_a_new_store_needs_no_migrations(tmp_path):
    """Creating one does not even import alembic."""
    code = "import sys; from usersim import Corpus; Corpus.open(sys.argv[1]).close(); "
    code += "sys.exit('alembic' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code, tmp_path / "c.db"], check=False).returncode == 0
    )


def set_version(path, version):
    """Write another schema version into a store."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    connection.close()


def test_a_newer_store_is_refused(corpus, tmp_path):
    """Both versions are named, and what to install."""
    corpus.close()
    set_version(tmp_path / "c.db", "0042")
    with pytest.raises(
        CorpusSchemaError, match=rf"version '0042'.*up to '{SCHEMA_VERSION}'"
    ) as caught:
        Corpus.open(tmp_path / "c.db")
    assert "pip install --upgrade" in caught.value.hint


NEXT = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "0099", "{last}", None, None
def upgrade():
    op.add_column("runs", sa.Column("note", sa.Text()))
    {more}
"""


@pytest.fixture
def next_version(tmp_path, monkeypatch):
    """A folder of migrations with one more step, as a later release would ship it."""
    import shutil

    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", "0099")
    return folder


def test_an_older_store_is_upgraded(corpus, tmp_path, next_version):
    """Opening with a later release brings the schema up to date and keeps the rows."""
    corpus.close()
    (next_version / "versions" / "v0099.py").write_text(
        NEXT.format(last=SCHEMA_VERSION, more="pass")
    )
    database = Database(tmp_path / "c.db")
    schema.prepare(database, migrations=next_version)
    with database.read() as connection:
        connection.exec_driver_sql("SELECT note FROM runs")
        count = connection.exec_driver_sql("SELECT count(*) FROM interactions").scalar()
    database.close()
    assert count == 15


FIRST_RUN = (
    "INSERT INTO runs (fingerprint, created, config) VALUES ('f', '2025', '{}')",
    """INSERT INTO responses (user_id, run_id, question_key, created, record)
    SELECT id, 1, 'q', '2025', '{}' FROM users""",
)


def test_a_store_of_the_first_version_is_upgraded(tmp_path):
    """Its rows and answers stay, and runs can be begun in it."""
    path = tmp_path / "first.db"
    database = Database(path)
    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO users VALUES (1, 'ada', 1, 0)")
        for statement in FIRST_RUN:
            connection.exec_driver_sql(statement)
    database.close()
    with Corpus.open(path) as corpus:
        assert [answer.user_id for answer in corpus.ledger.responses(run_id=1)] == ["ada"]
        assert corpus.runs.all() == []
        run = corpus.runs.begin("new", "g", {"seed": 1})
        corpus.runs.fill(run.id, corpus.requests([{"user_id": "ada", "context": "?"}]).lines())
        assert corpus.runs.find("new").total == 1
    with sqlite3.connect(path) as connection:
        (version,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    assert version == SCHEMA_VERSION


def test_an_upgrade_that_fails_changes_nothing(corpus, tmp_path, next_version):
    """The store stays at its version, without the half that was done."""
    corpus.close()
    (next_version / "versions" / "v0099.py").write_text(
        NEXT.format(last=SCHEMA_VERSION, more="op.drop_table('none')")
    )
    database = Database(tmp_path / "c.db")
    with pytest.raises(CorpusError, match="no such table"):
        schema.prepare(database, migrations=next_version)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT * FROM alembic_version").scalar()
        columns = [c[1] for c in connection.exec_driver_sql("PRAGMA table_info(runs)")]
    database.close()
    assert (found, "note" in columns) == (SCHEMA_VERSION, False)


def test_a_database_of_another_program_is_refused(tmp_path):
    """Its tables are named, and it is left as it was."""
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    with pytest.raises(CorpusSchemaError, match=r"another program .*recipes"):
        Corpus.open(tmp_path / "x.db")


def test_a_file_that_is_no_database_is_an_error(tmp_path):
    """A text file is not overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database " * 40)
    with pytest.raises(CorpusError, match="is not a database"):
        Corpus.open(path)
    assert path.read_text().startswith("these are notes")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/no/such/folder/c.db", "cannot be opened"),
        ("mysql://host/db", "a store in 'mysql' is not supported"),
        ("::://", "URL cannot be read"),
        ("postgresql://ada@host:port/db", "URL cannot be read"),
    ],
)
def test_a_store_that_cannot_be_opened_is_an_error(url, reason):
    """The message says what is wrong with the path or URL."""
    with pytest.raises(CorpusError, match=reason):
        Corpus.open(url)


PASSWORDS = [
    "postgresql://ada:{}@{}/x",
    "postgresql://ada@{1}/x?password={0}",
    "postgresql://{1}/x?user=ada&password={0}&sslpassword={0}",
    "postgresql://ada:{0}@{1}/x?password={0}",
]


@pytest.mark.parametrize("url", PASSWORDS)
@pytest.mark.parametrize("host", ["127.0.0.1:1", "no such host", "127.0.0.1:1,bad,more"])
def test_a_password_is_in_no_message_and_no_traceback(url, host):
    """Wherever it stands in the URL, plain or escaped: names, errors and their causes hide it."""
    secret = "Op3n/Sesame now"
    with pytest.raises(CorpusError) as caught:
        Corpus.open(url.format(quote(secret, safe=""), quote(host, safe=":,")))
    told = "".join(traceback.format_exception(caught.value))
    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        assert form not in told
    database = Database(url.format(quote(secret, safe=""), "localhost"))
    assert "***" in database.name
    assert quote(secret, safe="") not in database.name
    database.close()


def test_postgres_without_its_driver_names_the_extra(monkeypatch):
    """The driver is asked for before anything else."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="psycopg") as caught:
        Corpus.open("postgresql://localhost/x")
    assert "usersim-recon[postgres]" in caught.value.hint


def test_a_read_only_store_reads_but_does_not_load(corpus, tmp_path):
    """SQLite's own read-only mode stands for a file that may not be written."""
    corpus.close()
    with Corpus.open(f"sqlite:///file:{tmp_path / 'c.db'}?mode=ro&uri=true") as readonly:
        assert len(readonly.users()) == 2
        with pytest.raises(CorpusError, match="is read-only"):
            readonly.add(rows("eve"))


# Order


@pytest.mark.parametrize(
    ("fields", "ordered"),
    [
        ([{}, {}], False),
        ([{"order": 1}, {"order": 2}], True),
        ([{"order": 1}, {"order": 1}], False),
        ([{"timestamp": "2026-01-01"}, {"timestamp": "2026-01-02"}], True),
        ([{"timestamp": "2026-01-01"}, {"timestamp": "2026-01-01"}], False),
        ([{"conversation_id": "c"}, {"conversation_id": "c"}], True),
        ([{"conversation_id": "c"}, {"conversation_id": "d"}], False),
    ],
)
def test_an_order_that_means_something_is_told_from_the_order_of_a_file(fields, ordered):
    """Times, an order of the source, or turns of one conversation; of each person by themselves."""
    with Corpus.open(":memory:") as store:
        other = {"user_id": "eve", "context": "Tea?", "action": "Yes.", "order": 5}
        own = [
            {"user_id": "ada", "context": f"Tea {i}?", "action": "Yes.", **more}
            for i, more in enumerate(fields)
        ]
        store.add([*own, other])
        assert store.ordered_users() == ({"ada"} if ordered else set())


# Retrieval


def test_the_search_finds_words_in_the_past_of_the_train_split(corpus):
    """An interaction is found by its words; nothing held out, nothing later, nobody else's."""
    odd = {"user_id": "ada", "order": 0.5, "context": "What about zebras?", "action": "Striped."}
    corpus.add([odd])
    (found,) = corpus.search("ada", Question.of("Zebras again?"), before=8, limit=5)
    assert found.action == "Striped."
    for before in range(11):
        found = corpus.search("ada", Question.of("tea number"), before=before, limit=9)
        assert [item.position for item in found] == sorted(item.position for item in found)
        assert all(item.position < before and item.split == "train" for item in found)
        assert all(item.user_id == "ada" for item in found)
    assert len(corpus.search("ada", Question.of("tea"), limit=1)) == 1
    assert corpus.search("ada", Question.of("tea"), limit=0) == []
    with pytest.raises(UserNotFoundError, match="'eve'"):
        corpus.search("eve", Question.of("tea"), limit=1)


@pytest.mark.parametrize(
    "text", ['"', "NEAR(", "a* OR -b", "owner : u2", "{{ 7*7 }}", "col:x AND (", "", "  ", "'; --"]
)
def test_search_syntax_in_a_question_is_only_text(corpus, text):
    """No character of a question breaks the search or reaches another user."""
    found = corpus.search("ada", Question.of(text), limit=4)
    assert {item.user_id for item in found} <= {"ada"}


def test_the_search_index_keeps_in_step(corpus):
    """Rows that come after the first search are found by the next."""
    assert corpus.search("ada", Question.of("zebras"), limit=1) == []
    corpus.add([{"user_id": "ada", "order": -1, "context": "Zebras?", "action": "Yes."}])
    (found,) = corpus.search("ada", Question.of("zebras"), limit=1)
    assert found.action == "Yes."


# The ledger


def candidate(item, index=0, **changes):
    """A candidate for an interaction."""
    fields = {
        "interaction_key": item.key,
        "direction": "forward",
        "draw": index,
        "reasoning": f"because {index}",
        "complete": True,
        "model": "m",
        "prompt_id": "p",
        "seed": 2**70 + index,
        "log_q": -1.5,
        "n_tokens": 7,
    }
    return Candidate(**{**fields, **changes})


def scored(drawn, gain=0.5):
    """The candidate with scores."""
    return ScoredCandidate(
        candidate=drawn,
        scores=TraceScores(
            scorer="loglik_gain",
            unit="nats",
            raw_gain=gain,
            masked_gain=gain / 2,
            reported_gain=0.1,
            components={"a": 1.5},
        ),
        leakage=Leakage(longest_run=3, plausibility=-0.5, reasons=("L1 copy",)),
    )


def test_traces_come_back_as_they_were_put(corpus):
    """Candidates, scores and selections round-trip; putting twice changes nothing."""
    items = list(corpus.interactions())
    keys = [item.key for item in items]
    drawn = [candidate(item, index) for item in items for index in (1, 0)]
    ledger = corpus.ledger
    for _ in range(2):
        ledger.put_candidates("s", drawn)
        ledger.put_scored("s", [scored(one) for one in drawn[:4]])
    assert ledger.candidates("s", keys)[keys[0]] == [drawn[1], drawn[0]]
    assert ledger.scored("s", keys) == {
        keys[0]: [scored(drawn[1]), scored(drawn[0])],
        keys[1]: [scored(drawn[3]), scored(drawn[2])],
    }
    ledger.put_scored("s", [scored(drawn[0], gain=9.0)])
    assert ledger.scored("s", keys[:1])[keys[0]][1].scores.raw_gain == 9.0
    assert ledger.candidates("other", keys) == {}
    ledger.put_scored("s", [])
    choice = Selection(
        interaction_key=keys[0],
        kept=drawn[0].key,
        reason="best",
        utilities={drawn[0].key: 1.0},
        verdicts={drawn[0].key: "kept", drawn[1].key: "leaks"},
    )
    ledger.put_selections("s", [choice])
    assert ledger.selections("s", keys) == {keys[0]: choice}


def test_a_trace_is_found_by_its_key_or_its_interactions(corpus):
    """With scores, verdict and the decision, also where that was made in another stage."""
    item = next(corpus.interactions())
    one, two = candidate(item, 0), candidate(item, 1)
    corpus.ledger.put_scored("score", [scored(one), scored(two)])
    choice = Selection(
        interaction_key=item.key, kept=one.key, reason="r", verdicts={two.key: "leaks"}
    )
    corpus.ledger.put_selections("select", [choice])
    (found,) = corpus.ledger.find_trace(two.key[:16])
    assert (found.candidate, found.verdict, found.kept) == (two, "leaks", False)
    assert found.scored == scored(two)
    assert [t.kept for t in corpus.ledger.find_trace(item.key[:16])] == [True, False]
    assert corpus.ledger.find_trace("") == corpus.ledger.find_trace("zzz") == []


def test_a_trace_of_an_unknown_interaction_is_an_error(corpus):
    """A ledger holds traces of its own corpus alone."""
    stranger = candidate(next(corpus.interactions()), interaction_key="f" * 40)
    with pytest.raises(CorpusError, match="has no such interaction"):
        corpus.ledger.put_candidates("s", [stranger])


def response(user, question_key="q1", **record):
    """An answer to be stored."""
    return Response(user_id=user, question_key=question_key, record=record)


def test_responses_come_back(corpus):
    """By user; all of a call are stored or none."""
    ledger = corpus.ledger
    ledger.put_responses([response("ada", action="Yes."), response("bob", action="No.")])
    ledger.put_responses([])
    assert [r.record["action"] for r in ledger.responses("bob")] == ["No."]
    assert [r.user_id for r in ledger.responses()] == ["ada", "bob"]
    with pytest.raises(UserNotFoundError, match="'eve'"):
        ledger.put_responses([response("ada"), response("eve")])
    assert len(list(ledger.responses())) == 2


def test_adapters_come_back(corpus, tmp_path):
    """With everybody who taught them; the same name replaces."""
    put(corpus, tmp_path / "one", ["bob", "ada"])
    corpus.ledger.put_adapter(
        name="one",
        path=tmp_path / "one",
        digest="new",
        base_model="b",
        user_ids=["ada"],
        manifest={},
    )
    (found,) = corpus.ledger.adapters("ada")
    assert (found.digest, found.user_ids) == ("new", ("ada",))
    assert corpus.ledger.adapters("bob") == []
    assert len(corpus.ledger.adapters()) == 1


def test_forgetting_removes_everything_of_a_user(corpus, tmp_path):
    """Rows, index, traces, responses and adapters; the text is gone from the files."""
    item = next(corpus.interactions(["ada"]))
    corpus.search("ada", Question.of("tea"), limit=2)
    corpus.ledger.put_candidates("s", [candidate(item, reasoning="ada secret reasoning")])
    corpus.ledger.put_selections("s", [Selection(interaction_key=item.key, kept=None, reason="r")])
    corpus.ledger.put_responses([response("ada", action="ada secret answer")])
    run = corpus.runs.begin("r", "f", {})
    asked = [{"user_id": user, "context": f"{user} secret question"} for user in ("ada", "bob")]
    corpus.runs.fill(run.id, corpus.requests(asked).lines())
    own = put(corpus, corpus.adapters_root / "own", ["ada"])
    put(corpus, corpus.adapters_root / "shared", ["ada", "bob"])
    removal = corpus.forget("ada")
    assert (removal.interactions, removal.candidates, removal.selections) == (10, 1, 1)
    assert (removal.responses, removal.run_items, removal.search_rows) == (1, 1, 10)
    assert removal.adapters == ("own", "shared")
    assert removal.shared_adapters == ("shared",)
    assert removal.complete
    assert not own.exists()
    assert "train them again for the others: shared" in str(removal)
    assert [user.user_id for user in corpus.users()] == ["bob"]
    assert corpus.ledger.adapters() == []
    status = corpus.runs.status(run.id)
    assert (status.left, status.forgotten, status.total) == (1, 1, 2)
    for file in tmp_path.glob("c.db*"):
        data = file.read_bytes()
        assert b"ada secret" not in data, file
        assert b"ada 3" not in data, file
    with pytest.raises(UserNotFoundError, match="'ada'"):
        corpus.forget("ada")


def test_a_forgotten_user_can_come_back(corpus):
    """Forgetting leaves no trace that would keep new rows out."""
    corpus.forget("ada")
    assert corpus.add(rows("ada")).kept == 10


def test_reading_and_writing_may_interleave(corpus):
    """A stage may store results while it iterates, in memory and on disk."""
    with Corpus.open(":memory:") as memory:
        memory.add(corpus)
        for store in (corpus, memory):
            for item in store.interactions():
                store.ledger.put_candidates("s", [candidate(item)])
            assert len(store.ledger.candidates("s", [i.key for i in store.interactions()])) == 15


def test_the_development_data_load_without_a_refusal():
    """Every row of the real corpora is kept, as often as it is loaded."""
    folder = os.environ.get("USERSIM_DATA")
    if folder is None:
        pytest.skip("no development data: set USERSIM_DATA")
    files = sorted(Path(folder).glob("*/*.jsonl"))
    assert files
    for file in files[:2]:
        with Corpus.open(":memory:") as store:
            lines = len(file.read_bytes().splitlines())
            report = store.add(file)
            assert (report.kept + report.merged, len(report.refused)) == (lines, 0)
            assert store.add(file).kept == 0
            assert json.loads(json.dumps(next(store.rows())))["user_id"]
