"""The schema over its versions: older stores are brought up to date and lose nothing."""

import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from usersim.corpus import Corpus
from usersim.corpus.store import schema
from usersim.corpus.store.database import Database
from usersim.corpus.store.tables import SCHEMA_VERSION, metadata
from usersim.errors import CorpusError, CorpusSchemaError
from usersim.types import Question, TraceScores

ROW_IDS = sorted(table.name for table in metadata.tables.values() if "id" in table.c)


def row(user, text):
    """One row."""
    return {"user_id": user, "context": f"{text} is asked of {user}?", "action": f"{user}: {text}"}


def older_store(path, version, *statements):
    """A store as an earlier release left it, with rows that are put in by SQL."""
    database = Database(path)
    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()


FILLED = (
    "INSERT INTO users VALUES (3, 'ada', true, 7), (5, 'bob', true, 0)",
    "INSERT INTO conversations VALUES (4, 3, 'talk')",
    """INSERT INTO interactions (id, key, user_id, conversation_id, position, split, kind, action,
        context)
    VALUES (7, 'a1', 3, 4, 0, 'train', 'free_text', 'Yes.',
        '[{"content":"Tea?","name":null,"role":"user"}]'),
        (9, 'b1', 5, null, 0, 'train', 'free_text', 'No.',
        '[{"content":"Tea?","name":null,"role":"user"}]')""",
    """INSERT INTO candidates (stage_key, key, interaction_key, direction, draw, complete, model,
        prompt_id, seed, n_tokens, reasoning, scorer, unit, gain, masked_gain, report_gain,
        components, longest_run, containment, quoted_span, asserts_option, leak_reasons)
    VALUES ('s', 'c1', 'a1', 'forward', 0, true, 'm', 'p', '1', 3, 'She likes tea.', 'x', 'nats',
        0.75, 0.5, 0.25, '{"raw_loglik":-1.0,"raw_report_gain":0.7}', 0, 0, 0, false, '[]')""",
    """INSERT INTO selections VALUES ('s', 'a1', 'c1', 'best', '{}', '{}')""",
    """INSERT INTO adapters VALUES (2, 'ada-1', '/elsewhere/ada-1', 'd', 'b', '2025', '{}')""",
    "INSERT INTO adapter_users VALUES (2, 3)",
    """INSERT INTO runs (id, fingerprint, created, config, name, total)
    VALUES (6, 'f', '2025', '{}', 'r', 2)""",
    """INSERT INTO run_items (run_id, place, user_id, state, request)
    VALUES (6, 0, 3, 'done', '{}'), (6, 1, 5, 'open', '{}')""",
    """INSERT INTO responses (id, user_id, run_id, question_key, created, record, place)
    VALUES (8, 3, 6, 'q', '2025', '{}', 0)""",
)
INDEXED = """INSERT INTO history_search (rowid, owner, text) VALUES (7, 'u3', 'Tea? Yes.')"""


def check_filled(corpus):
    """Everything that was put in is there, and hangs together as before."""
    assert [(one.user_id, one.interactions) for one in corpus.users()] == [("ada", 1), ("bob", 1)]
    (item,) = corpus.interactions(["ada"])
    assert (item.key, item.conversation, item.action) == ("a1", "talk", "Yes.")
    (trace,) = corpus.ledger.find_trace("a1")
    assert (trace.candidate.reasoning, trace.kept) == ("She likes tea.", False)
    assert trace.scored.scores == TraceScores(
        scorer="x",
        unit="nats",
        raw_gain=0.75,
        masked_gain=0.5,
        reported_gain=0.25,
        components={"raw_loglik": -1.0, "raw_reported_gain": 0.7},
    )
    (adapter,) = corpus.ledger.adapters("ada")
    assert (adapter.name, adapter.path) == ("ada-1", "/elsewhere/ada-1")
    status = corpus.runs.find("r").status
    assert (status.done, status.left) == (1, 1)
    (answer,) = corpus.ledger.responses(run_id=6)
    assert (answer.id, answer.user_id) == (8, "ada")
    (found,) = corpus.search("ada", Question.of("tea"), limit=1)
    assert found == item


def test_a_filled_store_is_upgraded_and_loses_nothing(tmp_path):
    """Every table of an older store keeps its rows, ids, references and search index."""
    path = tmp_path / "c.db"
    older_store(path, "0002", *FILLED, INDEXED)
    with Corpus.open(path) as corpus:
        check_filled(corpus)
        assert corpus.forget("ada").candidates == 1
        with corpus._database.read() as connection:
            left = connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM candidates), (SELECT count(*) FROM selections), "
                "(SELECT count(*) FROM responses), (SELECT count(*) FROM run_items)"
            ).one()
            assert tuple(left) == (0, 0, 0, 1)
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.postgres
def test_a_filled_store_on_postgres_is_upgraded_and_loses_nothing(postgres):
    """The same rows, the same upgrade, on a server."""
    older_store(postgres, "0002", *FILLED)
    with Corpus.open(postgres) as corpus:
        check_filled(corpus)


def test_no_row_id_is_ever_given_twice(tmp_path):
    """Also after an upgrade, and in every table that has ids: the next row has a new one."""
    path = tmp_path / "c.db"
    older_store(path, "0002", *FILLED)
    with Corpus.open(path):
        pass
    with sqlite3.connect(path) as connection:
        for table in ROW_IDS:
            newest = connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0
            assert [replaced(connection, table) for _ in "12"] == [newest + 1, newest + 2], table
    connection.close()


def replaced(connection, table):
    """Delete every row of a table, put one in, and return its id."""
    connection.execute(f"DELETE FROM {table}")
    columns = [
        name
        for _, name, _, needed, *_ in connection.execute(f"PRAGMA table_info({table})")
        if needed and name != "id"
    ]
    marks = ", ".join("?" * len(columns))
    put = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
    return connection.execute(put, [f"new {table}"] * len(columns)).lastrowid


def test_an_upgrade_refuses_a_store_whose_rows_do_not_hang_together(tmp_path):
    """A row without its person is damage, and is not carried over; nothing is changed."""
    path = tmp_path / "c.db"
    older_store(path, "0002", "PRAGMA foreign_keys = OFF", *FILLED)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM users WHERE user_id = 'bob'")
    connection.close()
    with pytest.raises(CorpusError, match=r"damaged: a row of '(interactions|run_items)'"):
        Corpus.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
    connection.close()


# Paths of adapters


def manifest(folder: Path) -> Path:
    """Make a folder look like an adapter."""
    folder.mkdir(parents=True)
    (folder / "usersim.json").write_text("{}")
    return folder


@pytest.mark.parametrize("moved", [False, True], ids=["in place", "moved before the upgrade"])
def test_an_upgrade_makes_paths_of_own_adapters_relative(tmp_path, moved):
    """Those below the store's folder of adapters, also where all was moved; others stay."""
    old = tmp_path / "old"
    inside = manifest(old / "c.adapters" / "ada-1")
    outside = manifest(tmp_path / "elsewhere" / "bob-1")
    values = ", ".join(
        f"({i}, '{folder.name}', '{folder}', 'd', 'b', '2025', '{{}}')"
        for i, folder in enumerate((inside, outside), start=1)
    )
    older_store(old / "c.db", "0002", f"INSERT INTO adapters VALUES {values}")
    if moved:
        shutil.move(old, tmp_path / "new")
        old = tmp_path / "new"
    with sqlite3.connect(old / "c.db") as connection, Corpus.open(old / "c.db") as corpus:
        kept = [path for (path,) in connection.execute("SELECT path FROM adapters ORDER BY id")]
        assert kept == ["ada-1", str(outside)]
        found = [one.path for one in corpus.ledger.adapters()]
        assert found == [str(old / "c.adapters" / "ada-1"), str(outside)]
    connection.close()


def test_a_moved_project_keeps_its_adapters(tmp_path):
    """Store and adapters moved together: they are found where they lie now; others stay put."""
    old, elsewhere = tmp_path / "old", tmp_path / "elsewhere" / "bob-1"
    old.mkdir()
    with Corpus.open(old / "c.db") as corpus:
        corpus.add([row("ada", "Tea"), row("bob", "Tea")])
        assert corpus.adapters_root == old / "c.adapters"
        for user, folder in (("ada", corpus.adapters_root / "ada-1"), ("bob", elsewhere)):
            corpus.ledger.put_adapter(
                name=folder.name,
                path=folder,
                digest="d",
                base_model="b",
                user_ids=[user],
                manifest={},
            )
    shutil.move(old, tmp_path / "new")
    with Corpus.open(tmp_path / "new" / "c.db") as corpus:
        paths = [one.path for one in corpus.ledger.adapters()]
        assert paths == [str(tmp_path / "new" / "c.adapters" / "ada-1"), str(elsewhere)]


def test_a_named_folder_of_adapters_is_kept_by_its_absolute_path(tmp_path):
    """A folder that the caller names does not belong to the store, and does not move with it."""
    with Corpus.open(tmp_path / "c.db", adapters=tmp_path / "mine") as corpus:
        assert corpus.adapters_root == tmp_path / "mine"
        corpus.ledger.put_adapter(
            name="a",
            path=tmp_path / "mine" / "a",
            digest="d",
            base_model="b",
            user_ids=[],
            manifest={},
        )
    with Corpus.open(tmp_path / "c.db") as corpus:
        assert [one.path for one in corpus.ledger.adapters()] == [str(tmp_path / "mine" / "a")]


def test_the_version_of_the_code_is_the_newest(tmp_path):
    """A new store is made at once as the newest version."""
    with Corpus.open(tmp_path / "c.db") as corpus, corpus._database.read() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert found == SCHEMA_VERSION


# Stores that came from elsewhere


MEANT = {
    "a trigger": (
        "CREATE TRIGGER evil AFTER INSERT ON interactions BEGIN DELETE FROM users; END",
        "trigger 'evil' on 'interactions'",
    ),
    "a view": ("CREATE VIEW people AS SELECT * FROM users", "view 'people'"),
    "a foreign table": ("CREATE TABLE notes (text TEXT)", "table 'notes'"),
    "a virtual table": ("CREATE VIRTUAL TABLE more USING fts5(text)", "virtual table 'more'"),
    "an index that computes": (
        "CREATE INDEX slow ON users (upper(user_id))",
        "index 'slow' that computes",
    ),
    "an index over some rows": (
        "CREATE UNIQUE INDEX one ON responses (user_id) WHERE place IS NULL",
        "index 'one' that computes",
    ),
    "an index that refuses rows": (
        "CREATE UNIQUE INDEX one ON responses (user_id)",
        "table 'responses' with other columns",
    ),
    "a column more": ("ALTER TABLE users ADD COLUMN note TEXT", "table 'users' with other"),
    "a computed column": (
        "ALTER TABLE users ADD COLUMN loud TEXT GENERATED ALWAYS AS (upper(user_id))",
        "table 'users' with a rule of its own",
    ),
    "a column less": ("ALTER TABLE runs DROP COLUMN total", "table 'runs' with other columns"),
    "a table less": ("DROP TABLE selections", "no table 'selections'"),
    "ids that come again": (
        """DROP TABLE trainings;
        CREATE TABLE trainings (id INTEGER NOT NULL PRIMARY KEY, people INTEGER NOT NULL,
            worker TEXT NOT NULL, created TEXT NOT NULL)""",
        "table 'trainings' with other",
    ),
    "rows that stay": (
        """DROP TABLE selections;
        CREATE TABLE selections (stage_key TEXT NOT NULL, interaction_key TEXT NOT NULL, kept TEXT,
            reason TEXT NOT NULL, utilities TEXT NOT NULL, verdicts TEXT NOT NULL,
            PRIMARY KEY (stage_key, interaction_key));
        CREATE INDEX ix_s ON selections (interaction_key)""",
        "table 'selections' with other",
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A store of one person, made once."""
    path = tmp_path_factory.mktemp("plain") / "c.db"
    with Corpus.open(path) as corpus:
        corpus.add([row("ada", "Tea")])
    return path


@pytest.mark.parametrize(("sql", "what"), MEANT.values(), ids=MEANT.keys())
def test_a_store_that_is_not_as_we_make_one_is_refused(plain, tmp_path, sql, what):
    """Whatever acts by itself, stands in for a table or changes one: named, and nothing is run."""
    path = shutil.copy(plain, tmp_path / "c.db")
    with sqlite3.connect(path) as connection:
        connection.executescript(sql)
    connection.close()
    with pytest.raises(CorpusSchemaError, match=re.escape(what)) as caught:
        Corpus.open(path)
    assert "export" in caught.value.hint
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT user_id FROM users").fetchall() == [("ada",)]
    connection.close()


def test_an_older_store_with_a_trigger_is_refused_before_it_is_upgraded(tmp_path):
    """The upgrade itself writes, and nothing of the store's own may run then."""
    path = tmp_path / "c.db"
    trigger = "CREATE TRIGGER evil AFTER INSERT ON users BEGIN DELETE FROM runs; END"
    older_store(path, "0002", *FILLED, trigger)
    with pytest.raises(CorpusSchemaError, match="'evil'"):
        Corpus.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
    connection.close()


def test_what_sqlite_itself_adds_is_no_offense(plain, tmp_path):
    """Statistics for its planner may be there."""
    path = shutil.copy(plain, tmp_path / "c.db")
    with sqlite3.connect(path) as connection:
        connection.execute("ANALYZE")
    connection.close()
    with Corpus.open(path) as corpus:
        assert corpus.holds("ada")
