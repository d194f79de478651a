"""Forgetting: which folders are deleted, what remains and is said, and what others' rows quote."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.adapters import FILES, adapter_folder, put
from usersim.corpus import Corpus, Response, Training
from usersim.corpus.removal import LeftFolder, Remains
from usersim.corpus.store.database import Database
from usersim.errors import CorpusError, UserForgottenError, UserNotFoundError
from usersim.types import Candidate, Question


def row(user: str, index: int, context: object = None) -> dict[str, object]:
    """A row of one user."""
    return {
        "user_id": user,
        "order": index,
        "context": context or f"About tea number {index}?",
        "action": f"{user} {index}",
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """A store of two people, made once."""
    path = tmp_path_factory.mktemp("filled") / "c.db"
    with Corpus.open(path) as made:
        made.add([row(user, index) for user in ("ada", "bob") for index in range(5)])
    return path


@pytest.fixture
def corpus(filled: Path, tmp_path: Path):
    """A store on disk with two people."""
    with Corpus.open(shutil.copy(filled, tmp_path / "c.db")) as opened:
        yield opened


# Whose folder it is


def test_an_adapter_of_a_store_that_was_moved_is_deleted(tmp_path: Path) -> None:
    """Store and adapters moved together: forgetting finds the weights where they are now."""
    old = tmp_path / "old"
    old.mkdir()
    with Corpus.open(old / "c.db") as corpus:
        corpus.add([row("ada", 0)])
        put(corpus, corpus.adapters_root / "ada-1", ["ada"])
    shutil.move(old, tmp_path / "new")
    with Corpus.open(tmp_path / "new" / "c.db") as corpus:
        removal = corpus.forget("ada")
    assert removal.folders == (str(tmp_path / "new" / "c.adapters" / "ada-1"),)
    assert removal.complete
    assert not list(tmp_path.rglob("*.safetensors"))


def register(corpus: Corpus, path: Path | str, digest: str = "d") -> None:
    """Let the store name any folder, as one that came from elsewhere may."""
    with corpus._database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO adapters (name, path, digest, base_model, created, manifest) "
            "VALUES (?, ?, ?, 'b', '2025', '{}')",
            (f"named {path}", str(path), digest),
        )
        connection.exec_driver_sql(
            "INSERT INTO adapter_users SELECT max(adapters.id), users.id FROM adapters, users "
            "WHERE users.user_id = 'ada'"
        )


def thesis(folder: Path) -> Path:
    """Somebody's folder, which happens to hold a manifest."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "thesis.tex").write_text("years of work")
    return folder


def absolute(_: Corpus, tmp_path: Path) -> Path:
    """A folder of somebody else, by its path."""
    return thesis(tmp_path / "home")


def adapter_elsewhere(_: Corpus, tmp_path: Path) -> Path:
    """A real adapter that is not this store's."""
    adapter_folder(tmp_path / "home" / "c.adapters" / "ada-1", ["ada"])
    return tmp_path / "home" / "c.adapters" / "ada-1"


def upwards(corpus: Corpus, tmp_path: Path) -> Path:
    """A path that begins in the store's folder and leads out of it."""
    thesis(tmp_path / "home")
    return corpus.adapters_root / ".." / "home"


def linked(corpus: Corpus, tmp_path: Path) -> Path:
    """A link in the store's own folder."""
    corpus.adapters_root.mkdir()
    (corpus.adapters_root / "ada-1").symlink_to(thesis(tmp_path / "home"))
    return corpus.adapters_root / "ada-1"


def below_a_link(corpus: Corpus, tmp_path: Path) -> Path:
    """A folder below a link in the store's own folder."""
    corpus.adapters_root.mkdir()
    thesis(tmp_path / "home" / "ada-1")
    (corpus.adapters_root / "more").symlink_to(tmp_path / "home")
    return corpus.adapters_root / "more" / "ada-1"


def the_root(corpus: Corpus, tmp_path: Path) -> Path:
    """The store's folder of adapters itself."""
    thesis(corpus.adapters_root)
    return corpus.adapters_root


def without_manifest(corpus: Corpus, tmp_path: Path) -> Path:
    """A folder of another program in the store's own folder."""
    return thesis(corpus.adapters_root / "ada-1")


def altered(corpus: Corpus, tmp_path: Path) -> Path:
    """An adapter whose weights are others than those that were registered."""
    folder = corpus.adapters_root / "ada-1"
    adapter_folder(folder, ["ada"])
    (folder / "adapter_model.safetensors").write_text("other weights")
    return folder


def anothers(corpus: Corpus, tmp_path: Path) -> Path:
    """Another person's adapter, registered under a path of its own."""
    return put(corpus, corpus.adapters_root / "bob-1", ["bob"])


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        absolute,
        adapter_elsewhere,
        upwards,
        linked,
        below_a_link,
        the_root,
        without_manifest,
        altered,
        anothers,
    ],
)
def test_a_folder_that_is_not_the_adapter_in_question_is_left_alone(
    corpus, tmp_path, made, relative
) -> None:
    """Whatever a store says: nothing is deleted but its own adapters, and what was left is said."""
    folder = made(corpus, tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*") if "c.db" not in path.name)
    register(corpus, os.path.relpath(folder, corpus.adapters_root) if relative else folder)
    removal = corpus.forget("ada")
    assert sorted(str(path) for path in tmp_path.rglob("*") if "c.db" not in path.name) == before
    assert removal.folders == ()
    assert len(removal.remains.folders_left) == 1
    assert not removal.complete
    assert "not deleted: " in str(removal)
    assert corpus.ledger.adapters("bob") or made is not anothers


def test_other_files_in_an_adapter_folder_are_left(corpus) -> None:
    """The adapter is deleted, what somebody put beside it is not, and that is said."""
    folder = put(corpus, corpus.adapters_root / "ada-1", ["ada"])
    (folder / "thesis.tex").write_text("years of work")
    removal = corpus.forget("ada")
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    (left,) = removal.remains.folders_left
    assert (left.path, "other files" in left.reason) == (str(folder), True)


def test_a_removal_that_was_cut_off_is_finished_by_the_next(corpus) -> None:
    """Weights go first and the manifest last: what is left of a folder is still known."""
    folder = put(corpus, corpus.adapters_root / "ada-1", ["ada"])
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).unlink()
    assert corpus.forget("ada").complete
    assert not folder.exists()


def test_an_adapter_that_was_never_registered_is_deleted_by_its_manifest(corpus) -> None:
    """Killed between writing and registering: the manifest says whose it is; others stay."""
    adapter_folder(corpus.adapters_root / "ada-1", ["ada", "bob"])
    adapter_folder(corpus.adapters_root / "bob-1", ["bob"])
    removal = corpus.forget("ada")
    assert removal.adapters == ("ada-1",)
    assert removal.folders == (str(corpus.adapters_root.resolve() / "ada-1"),)
    assert {path.name for path in corpus.adapters_root.iterdir()} == {"bob-1"}
    assert {path.name for path in (corpus.adapters_root / "bob-1").iterdir()} == FILES


def test_an_unregistered_adapter_in_a_folder_of_several_stores_is_told(
    tmp_path, monkeypatch
) -> None:
    """Another store may have a person of that name: it is left, and said."""
    monkeypatch.chdir(tmp_path)
    adapter_folder(tmp_path / "usersim-adapters" / "ada-1", ["ada"])
    with Corpus.open(":memory:") as corpus:
        corpus.add([row("ada", 0)])
        removal = corpus.forget("ada")
    assert "not registered in this store" in str(removal)
    assert (tmp_path / "usersim-adapters" / "ada-1").exists()


def test_a_folder_that_cannot_be_deleted_is_an_error_and_the_rows_stay(corpus, monkeypatch) -> None:
    """Nothing of the person is half gone: the store still knows what is left, for another try."""
    folder = put(corpus, corpus.adapters_root / "ada-1", ["ada"])

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(CorpusError, match=r"ada-1.*denied"):
            corpus.forget("ada")
    assert corpus.holds("ada")
    assert corpus.forget("ada").folders == (str(folder.resolve()),)


# Checkpoints


def checkpoints(folder: Path, users: str = '["ada"]') -> Path:
    """What a training that did not end leaves."""
    (folder / "checkpoint-5").mkdir(parents=True)
    (folder / "checkpoint-5" / "adapter_model.safetensors").write_text("weights")
    (folder / "users.json").write_text(users)
    return folder


def test_checkpoints_are_deleted_only_in_the_stores_own_folder(corpus, tmp_path) -> None:
    """Not through a link, not under another name than a run's, not of other people."""
    root = corpus.adapters_root / "checkpoints"
    mine = checkpoints(root / "0123456789abcdef")
    half = corpus.adapters_root / ".half-made-0123456789abcdef"
    half.mkdir()
    theirs = checkpoints(root / "fedcba9876543210", '["bob"]')
    odd = checkpoints(root / "my experiments")
    elsewhere = checkpoints(tmp_path / "home" / "0123456789abcdee")
    (root / "0123456789abcdee").symlink_to(elsewhere)
    unreadable = checkpoints(root / "1123456789abcdef", "{")
    removal = corpus.forget("ada")
    assert set(removal.checkpoints) == {str(mine.resolve()), str(half.resolve())}
    assert not mine.exists()
    assert not half.exists()
    for folder in (theirs, odd, elsewhere, unreadable):
        assert (folder / "checkpoint-5").exists(), folder


# Trainings under way


def test_a_training_is_stopped_by_name_when_somebody_in_it_is_forgotten(corpus) -> None:
    """Its next question is refused, what it registers too; forgetting says who trains."""

    def put_shared(training: Training) -> None:
        corpus.ledger.put_adapter(
            name="shared",
            path="shared",
            digest="d",
            base_model="b",
            user_ids=["bob"],
            manifest={},
            training=training,
        )

    def train() -> None:
        with corpus.trainings.under_way(["ada", "bob"]) as training:
            corpus.trainings.check(training)
            removal = corpus.forget("ada")
            (worker,) = removal.remains.trainings
            assert worker.name == f"{socket.gethostname()}:{os.getpid()}"
            assert not removal.complete
            corpus.add([row("ada", 9)])  # another person of that name changes nothing
            for use in (corpus.trainings.check, put_shared):
                with pytest.raises(UserForgottenError, match="'ada'") as caught:
                    use(training)
                assert caught.value.user_ids == ("ada",)
            assert corpus.finish_forgetting().trainings == (worker,)
            raise UserNotFoundError("what a stage says that misses the person")

    with pytest.raises(UserForgottenError, match="'ada'"):
        train()
    assert corpus.finish_forgetting().nothing
    assert corpus.ledger.adapters() == []


def test_a_training_that_fails_for_another_reason_says_that(corpus) -> None:
    """Only forgetting is told as forgetting; the training is not under way any more."""
    with pytest.raises(CorpusError, match="the disk"), corpus.trainings.under_way(["ada"]):
        raise CorpusError("the disk is full")
    assert corpus.forget("ada").remains.trainings == ()


def test_nobody_unknown_is_learned_from(corpus) -> None:
    """A training names people of the store."""
    with (
        pytest.raises(UserNotFoundError, match="'adda'"),
        corpus.trainings.under_way(["adda", "bob"]),
    ):
        pass


KILLED = """
import os, signal, sys
from usersim.corpus import Corpus
with Corpus.open(sys.argv[1]) as corpus, corpus.trainings.under_way(["ada"]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_training_whose_process_is_gone_is_not_waited_for(corpus, children) -> None:
    """Its row stays after a kill; forgetting sees that nobody trains there."""
    killed = children.run(KILLED, corpus.name)
    assert killed.returncode == -signal.SIGKILL
    with sqlite3.connect(corpus.name) as connection:
        assert connection.execute("SELECT count(*) FROM trainings").fetchone() == (1,)
    connection.close()
    assert corpus.forget("ada").complete


# What remains


@pytest.fixture
def _impatient(monkeypatch) -> None:
    monkeypatch.setattr("usersim.corpus.store.database._LOG_SECONDS", 0)


@pytest.mark.usefixtures("_impatient")
def test_an_open_reader_keeps_the_text_and_that_is_said(corpus, tmp_path) -> None:
    """Forgetting does not say that it is done; finishing does, when the reader has ended."""

    def stands() -> bool:
        return any(b"ada 3" in file.read_bytes() for file in tmp_path.glob("c.db*"))

    reader = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM interactions").fetchone()
    removal = corpus.forget("ada")
    assert stands()
    assert removal.remains.log_bytes > 0
    assert not removal.complete
    assert "not erased yet" in str(removal)
    assert not corpus.finish_forgetting("ada").nothing
    reader.close()
    assert corpus.finish_forgetting("ada").nothing
    assert not stands()


def test_finishing_deletes_what_names_a_forgotten_person(corpus) -> None:
    """What a training wrote while it was being stopped, and folders whose deleting was cut off."""
    corpus.forget("ada")
    stray = corpus.adapters_root / "ada-1"
    adapter_folder(stray, ["ada"])
    checkpoints(corpus.adapters_root / "checkpoints" / "0123456789abcdef")
    (corpus.adapters_root / "checkpoints" / ".forgotten-x").mkdir()
    remains = corpus.finish_forgetting("ada")
    assert remains.nothing
    assert len(remains.deleted) == 3
    assert list(corpus.adapters_root.rglob("*")) == [corpus.adapters_root / "checkpoints"]
    with pytest.raises(CorpusError, match="still contains user 'bob'"):
        corpus.finish_forgetting("bob")


@pytest.mark.postgres
def test_finishing_on_postgres_writes_the_tables_anew(postgres) -> None:
    """Deleted text leaves the tables' files; archives are not ours to reach."""
    with Corpus.open(postgres) as corpus:
        corpus.add([row(user, index) for user in ("ada", "bob") for index in range(50)])
        assert corpus.forget("ada").complete
        before = _dead_rows(corpus._database)
        assert corpus.finish_forgetting("ada").nothing
        assert before > 0
        assert _dead_rows(corpus._database) == 0
        assert [user.user_id for user in corpus.users()] == ["bob"]


def _dead_rows(database: Database) -> int:
    with database.write() as connection:
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pgstattuple")
        query = "SELECT dead_tuple_count + tuple_count - 50 FROM pgstattuple('interactions')"
        return connection.exec_driver_sql(query).scalar() or 0


def test_runs_that_name_the_person_are_told(corpus) -> None:
    """In a name or in the settings, as a word of its own; not as a part of another word."""
    for name, settings in (
        ("ada-2025", {}),
        ("study", {"adapter": "ada-1c9e2b7a"}),
        ("adapted", {"adapter": None}),
    ):
        corpus.runs.begin(name, name, settings)
    removal = corpus.forget("ada")
    assert removal.run_names == ("ada-2025", "study")
    assert "runs that still refer to them: ada-2025, study" in str(removal)


def test_no_name_forges_a_line_of_what_was_removed(corpus) -> None:
    """Of runs, adapters and folders: a store may come from anywhere, with any names in it."""
    hostile = "ada\nadapters: none\x1b[2J"
    removal = corpus.forget("ada")
    removal = replace(
        removal, run_names=(hostile,), adapters=(hostile,), shared_adapters=(hostile,),
        folders=(hostile,), checkpoints=(hostile,), sources=(hostile,),
        mentions=replace(removal.mentions, interactions=1, adapters=(hostile,)),
        remains=Remains(deleted=(hostile,), folders_left=(LeftFolder(hostile, "ours"),)),
    )  # fmt: skip
    said = str(removal)
    assert "\x1b" not in said
    assert [line for line in said.splitlines() if line.startswith("adapters:")] == []
    assert said.count("ada␊adapters: none␛[2J") == 9


# Other people's rows


def talk(user: str, index: int) -> dict[str, object]:
    """A row of a conversation in which ada spoke before."""
    turns = [
        {"role": "user", "name": "ada", "content": f"ada's secret {index}", "mood": "sad"},
        {"role": "user", "name": "cy", "content": f'cy on {index}, "name":"ada"'},
    ]
    return row(user, index, turns)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def group(request, tmp_path):
    """A store in which ada speaks in other people's interactions, requests, traces, answers."""
    name = tmp_path / "g.db"
    if request.param == "postgres":
        name = request.getfixturevalue("postgres")
    with Corpus.open(name) as corpus:
        corpus.add([row("ada", 0), *(talk("bob", index) for index in range(6)), row("bob", 9)])
        corpus.search("bob", Question.of("secret"), limit=1)
        items = list(corpus.interactions(["bob"]))
        corpus.ledger.put_candidates("s", [drawn(item) for item in items])
        answers = [
            Response(user_id="bob", question_key="q", record={"history": [items[0].key]}),
            Response(user_id="bob", question_key="q", record={"history": [items[6].key]}),
        ]
        corpus.ledger.put_responses(answers)
        run = corpus.runs.begin("r", "f", {})
        asked = [{**talk("bob", 0)}, {"user_id": "bob", "context": "Tea?"}]
        corpus.runs.fill(run.id, corpus.requests(asked).lines())
        corpus.runs.claim(run.id, "me", limit=9, seconds=9)
        corpus.runs.finish(run.id, "me", dict.fromkeys(range(2), answers[1]))
        put(corpus, tmp_path / "elsewhere" / "bob-1", ["bob"])
        yield corpus


def drawn(item) -> Candidate:
    """A candidate for an interaction."""
    return Candidate(
        interaction_key=item.key,
        direction="forward",
        draw=0,
        reasoning="Since that is known.",
        complete=True,
        model="m",
        prompt_id="p",
        seed=1,
    )


def test_other_peoples_rows_in_which_the_person_speaks_are_counted(group) -> None:
    """Told and kept, where nobody asks for more."""
    removal = group.forget("ada")
    assert (removal.mentions.interactions, removal.mentions.run_items) == (6, 1)
    assert removal.mentions.adapters == ("bob-1",)
    assert "(kept; redact with --mentions or mentions=True): interactions: 6" in str(removal)
    assert any("secret" in str(item.context) for item in group.interactions(["bob"]))


def test_other_peoples_rows_are_redacted_where_that_is_asked(group, tmp_path) -> None:
    """Name and words go, with the traces and answers made from them; the rest stays as it was."""
    removal = group.forget("ada", mentions=True)
    mentions = removal.mentions
    assert (mentions.interactions, mentions.run_items) == (6, 1)
    assert (mentions.traces, mentions.answers, mentions.redacted) == (6, 2, True)
    items = list(group.interactions(["bob"]))
    assert [len(item.context) for item in items] == [2] * 6 + [1]
    spoken = {(turn.name, turn.content) for item in items[:6] for turn in item.context}
    assert ("[removed]", "[removed]") in spoken
    assert ("cy", 'cy on 3, "name":"ada"') in spoken
    assert all("secret" not in str(item) and "sad" not in str(item) for item in items)
    assert [item.action for item in items] == [f"bob {index}" for index in (0, 1, 2, 3, 4, 5, 9)]
    assert len(group.ledger.candidates("s", [item.key for item in items])) == 1
    assert [one.record["history"] for one in group.ledger.responses()] == [[items[6].key]] * 2
    status = group.runs.find("r").status
    assert (status.done, status.left) == (1, 1)
    (item,) = group.runs.claim(1, "me", limit=9, seconds=9)
    assert item.request.question.context[0].content == "[removed]"
    assert group.search("bob", Question.of("secret"), limit=9) == []
    for file in tmp_path.glob("g.db*"):
        assert b"'s secret " not in file.read_bytes(), file
    with Corpus.open(":memory:") as copy:
        copy.add(group.rows())
        assert copy.digest() == group.digest()
