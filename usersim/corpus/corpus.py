"""The corpus: what people did, loaded, split and read back.

The face of this package. It knows the order of a load (read, check, write, place) and hands
everything else to the modules beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from usersim.config import CorpusConfig
from usersim.corpus.browsing.browser import Browser
from usersim.corpus.fleets.fleets import Fleets
from usersim.corpus.ledger.adapter_folders import AdapterFolders
from usersim.corpus.ledger.adapter_removal import RemovedAdapter, remove_adapter
from usersim.corpus.ledger.ledger import Ledger
from usersim.corpus.ledger.trainings import Trainings
from usersim.corpus.loading import Load, LoadOptions, scanned
from usersim.corpus.readers import Codebook, Format, Records, SourceOptions, open_source
from usersim.corpus.removal import Remains, Removal, finish_forgetting, forget
from usersim.corpus.report import LoadReport
from usersim.corpus.runs.requests import Requests, read_requests
from usersim.corpus.runs.runs import Runs
from usersim.corpus.store.database import Database
from usersim.corpus.store.fits import Fits
from usersim.corpus.store.owners import user_row_id
from usersim.corpus.store.panel import read_panel
from usersim.corpus.store.reading import InteractionReader
from usersim.corpus.store.schema import prepare
from usersim.corpus.store.search import find_similar, index_user, query_words, search_text
from usersim.corpus.store.summaries import UserSummary, repeated_ids, summaries
from usersim.corpus.store.writer import place_users
from usersim.errors import ConfigError, CorpusError
from usersim.files import write_rows
from usersim.types import DateOrder, Interaction, Panel, Question, Split
from usersim.views import Progress

__all__ = ["Corpus", "UserSummary"]


class Corpus:
    """A store of interactions; make one by `Corpus.open`.

    Example:
        >>> rows = [{"user_id": "ada", "context": f"Tea number {i}?", "action": "Yes."}
        ...         for i in range(5)]
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add(rows)
        ...     [(user.user_id, user.train, user.held_out) for user in corpus.users()]
        [('ada', 4, 1)]
        >>> report.kept, len(report.refused)
        (5, 0)
    """

    def __init__(
        self, database: Database, config: CorpusConfig, adapter_folders: AdapterFolders
    ) -> None:
        self._database = database
        self._config = config
        self._adapter_folders = adapter_folders
        self._reader = InteractionReader(database)
        self._settled = False
        self._after_forgetting: list[Callable[[], None]] = []
        self.ledger = Ledger(database, adapter_folders)
        self.runs = Runs(database)
        self.fleets = Fleets(database)
        self.fits = Fits(database)
        self.trainings = Trainings(database)
        self.browse = Browser(database)

    @classmethod
    def open(
        cls,
        url_or_path: str | Path,
        *,
        config: CorpusConfig = CorpusConfig(),
        adapters: str | Path | None = None,
    ) -> Corpus:
        """Open a store, made new where there is none, upgraded where it is older.

        A SQLite file that may not be written is opened read-only.

        Args:
            url_or_path: A path or `":memory:"` for SQLite, `postgresql://…` for PostgreSQL.
            config: How sources are read and split.
            adapters: Folder of the store's own adapters. The default is `NAME.adapters` beside a
                SQLite file, which may be moved together with it, and `usersim-adapters` in the
                working folder for any other store.

        Returns:
            The corpus; close it, or use it in a `with` block.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     with Corpus.open(Path(folder) / "ada.usersim.db") as corpus:
            ...         Path(corpus.name).name, corpus.users()
            ('ada.usersim.db', [])
        """
        database = Database(url_or_path)
        folders = AdapterFolders.of(database, adapters)
        try:
            database.journal()
            prepare(database, adapters_root=folders.root if folders.moves else None)
            corpus = cls(database, config, folders)
            with suppress(CorpusError):  # a full or read-only disk: whoever needs it tries again
                corpus._settle()
        except BaseException:
            database.close()
            raise
        return corpus

    def __repr__(self) -> str:
        """Say which store it is."""
        return f"Corpus({self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the store's connections; a `with` block does so at its end.

        Example:
            >>> corpus = Corpus.open(":memory:")
            >>> corpus.close()
        """
        self._database.close()

    @property
    def name(self) -> str:
        """Path or URL of the store, without a password."""
        return self._database.name

    @property
    def adapters_root(self) -> Path:
        """Folder of the store's own adapters: trainings write here, and `forget` deletes here."""
        return self._adapter_folders.root

    def add(  # noqa: PLR0913 - keyword-only, each a plain fact about the source
        self,
        source: object,
        *,
        format: Format = "auto",  # noqa: A002 - the word that a caller expects
        user_id: str | None = None,
        keep_others: bool = False,
        person: str | None = None,
        codebook: Mapping[str, object] | Sequence[object] | str | Path | None = None,
        encoding: str | None = None,
        date_order: DateOrder | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> LoadReport:
        """Load a source; what the store holds already is not added again.

        Rows are written in batches, each a transaction: after an interruption the store is
        whole, and loading the source again adds the rest.

        Args:
            source: A path (JSON Lines, JSON, CSV, Parquet, SPSS, or an export of chats or mail;
                also gzip, a zip archive or a folder), an iterable of dicts, a pandas or polars
                frame, or another corpus.
            format: How it is to be read; `auto` detects it from the content.
            user_id: Only this user's rows; also the id where the source has none.
            keep_others: Keep the rows of other users too: what they answered tells how this
                person will. `user_id` is then only the id where the source has none.
            person: In chats, role or name of the modeled person. With an assistant it is the
                human side if not given; among people it must be given.
            codebook: For surveys, what the columns mean: a dict, a list, or a JSON or CSV file.
                See `Codebook.read`.
            encoding: Of a CSV file that is not UTF-8, such as `"cp1252"`.
            date_order: `"dmy"` or `"mdy"`: how times like `05/01/2024` are written, which are not
                read otherwise.
            strict: Raise if any row is refused, and keep nothing. The whole load is then one
                transaction, and other writers wait for it.
            progress: Called after each batch with (stage, records read, records in all or None).

        Returns:
            What was kept, what was refused and why.

        Raises:
            CorpusFormatError: If the source or the codebook cannot be read.
            SpeakerNotFoundError: If the modeled person of a chat is not named or not found;
                lists who speaks.
            RefusedRowsError: If `strict` and a row was refused.

        Example:
            >>> rows = [
            ...     {"user_id": "ada", "context": "Tea?", "action": "Yes."},
            ...     {"user_id": "ada", "context": "Milk?"},
            ... ]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            >>> report.kept, len(report.refused)
            (1, 1)
        """
        how = SourceOptions(
            format=format,
            person=person,
            user_id=user_id,
            encoding=encoding,
            date_order=date_order,
            codebook=None if codebook is None else Codebook.read(codebook),
            gap=self._config.chat_gap_hours * 3600,
            most=self._config.chat_context_messages,
        )
        options = LoadOptions(
            format=format,
            user_id=user_id,
            keep_others=keep_others,
            person=person,
            codebook=scanned(source, how),
            date_order=date_order,
            strict=strict,
            progress=progress,
        )
        self._settled = False
        load = Load(self._database, self._config, options)
        report = load.run(_records(source, how))
        self._settle()
        return replace(report, repeated_ids=repeated_ids(self._database, load.newest_before))

    def requests(self, source: object, *, user_id: str | None = None) -> Requests:
        """Read the requests of a run; those that cannot be asked are refused one by one.

        Args:
            source: A path (as `add` reads), or an iterable of rows without an action.
            user_id: Only this user's; also the user of rows that name none.

        Returns:
            The requests, in a temporary file.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     rows = [{"user_id": "ada", "context": "Milk?"}, {"user_id": "ada"}]
            ...     asked = corpus.requests(rows)
            ...     len(list(asked.lines())), len(asked.refused)
            (1, 1)
        """
        return read_requests(source, self._config, user_id=user_id, known=self._reader.known)

    def holds(self, user_id: str) -> bool:
        """Return whether the store holds a user.

        Args:
            user_id: Who.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     corpus.holds("ada"), corpus.holds("bob")
            (True, False)
        """
        return self._reader.known(user_id)

    def require(self, user_id: str) -> None:
        """Do nothing for a user that the store holds.

        Args:
            user_id: Who.

        Raises:
            UserNotFoundError: If there is no such user; names similar ones.

        Example:
            >>> from usersim.errors import UserNotFoundError
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     try:
            ...         corpus.require("adda")
            ...     except UserNotFoundError as error:
            ...         print(error)
            no user 'adda' in the corpus (1 user)
        """
        with self._database.read() as connection:
            user_row_id(connection, user_id)

    def users(self) -> list[UserSummary]:
        """Return every user, sorted by id."""
        try:
            self._settle()
        except CorpusError:  # a load was cut off, and the disk is full or read-only
            return summaries(self._database, unplaced=self._config.train_share)
        return summaries(self._database)

    def user_ids(self) -> list[str]:
        """Return the id of every user, sorted; reads no interactions, unlike `users`.

        Example:
            >>> rows = [{"user_id": name, "context": "Tea?", "action": "Yes."} for name in "ba"]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     corpus.user_ids()
            ['a', 'b']
        """
        return [name for name, _ in self._reader.people()]

    def interactions(
        self, user_ids: str | Sequence[str] | None = None, *, split: Split | None = None
    ) -> Iterator[Interaction]:
        """Iterate over interactions by user and position; memory stays flat.

        Args:
            user_ids: Only these users', or this one's.
            split: Only this part.

        Returns:
            An iterator.

        Example:
            >>> rows = [{"user_id": "ada", "context": f"{i}?", "action": "Yes."} for i in range(5)]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     [one.position for one in corpus.interactions("ada", split="held_out")]
            [4]
        """
        self._settle()
        return self._reader.stream(_ids(user_ids), split=split)

    def interaction(self, key: str) -> Interaction:
        """Return one interaction.

        Args:
            key: Its key, or a beginning that no other key shares.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     (one,) = corpus.interactions()
            ...     corpus.interaction(one.key[:12]).action
            'Yes.'
        """
        self._settle()
        return self._reader.one(key)

    def history(
        self, user_id: str, *, before: int | None = None, limit: int | None = None
    ) -> list[Interaction]:
        """Return what a user did, from the train split alone, oldest first.

        Args:
            user_id: Who.
            before: Only interactions whose `position` is smaller.
            limit: The newest so many; None for all.

        Example:
            >>> rows = [{"user_id": "ada", "context": f"{i}?", "action": "Yes."} for i in range(5)]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     [one.context[0].content for one in corpus.history("ada", before=3, limit=2)]
            ['1?', '2?']
        """
        self._settle()
        return self._reader.history(user_id, before=before, limit=limit)

    def ordered_users(self, user_ids: str | Sequence[str] | None = None) -> frozenset[str]:
        """Return the users whose interactions stand in an order that means something.

        Those with different times, an order that the source gave, or a conversation of several
        interactions. The others are in the order of the file, and `position` counts that.

        Args:
            user_ids: Look at these users only, or at this one.

        Example:
            >>> rows = [
            ...     {"user_id": "ada", "context": "Tea?", "action": "Yes.", "timestamp": day}
            ...     for day in ("2026-01-01", "2026-01-02")
            ... ]
            >>> rows += [{"user_id": "bob", "context": f"{one}?", "action": "No."} for one in "ab"]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     sorted(corpus.ordered_users())
            ['ada']
        """
        self._settle()
        return frozenset(self._reader.ordered(_ids(user_ids)))

    def search(
        self, user_id: str, question: Question, *, before: int | None = None, limit: int
    ) -> list[Interaction]:
        """Return the interactions of the train split that share most words with a question.

        By full-text search in the store (BM25 in SQLite, PostgreSQL's own ranking).

        Args:
            user_id: Whose.
            question: What is asked.
            before: Only interactions whose `position` is smaller.
            limit: How many at the most.

        Returns:
            Interactions, oldest first.

        Raises:
            UserNotFoundError: If there is no such user.

        Example:
            >>> drinks = ("tea with milk", "coffee", "green tea", "water", "juice")
            >>> rows = [
            ...     {"user_id": "ada", "context": f"Some {drink}?", "action": "Yes."}
            ...     for drink in drinks
            ... ]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     found = corpus.search("ada", Question("Black tea?"), limit=2)
            ...     [one.context[0].content for one in found]
            ['Some tea with milk?', 'Some green tea?']
        """
        self._settle()
        with self._database.read() as connection:
            owner = user_row_id(connection, user_id)
        index_user(self._database, owner)
        words = query_words(search_text(question.context))
        with self._database.read() as connection:
            ids = find_similar(connection, self._database, owner, words, before=before, limit=limit)
        return self._reader.by_row_id(ids)

    def panel(self, *, weight: str | None = None, shared_by: int = 1) -> Panel:
        """Return everybody's answers of the train split to closed questions and numbers.

        Args:
            weight: Field of the metadata that holds how many people a person stands for; None
                counts everybody once.
            shared_by: Leave out questions that fewer people answered.

        Raises:
            CorpusError: If a person has no usable weight where one is asked for.

        Example:
            >>> rows = [
            ...     {"user_id": name, "context": "Tea?", "action": "yes", "options": ["yes", "no"]}
            ...     for name in ("ada", "bob")
            ... ]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     panel = corpus.panel()
            >>> panel.people
            ('ada', 'bob')
        """
        self._settle()
        return read_panel(self._database, weight=weight, shared_by=shared_by)

    def digest(self, user_ids: str | Sequence[str] | None = None) -> str:
        """Return a hash of the content: equal digests mean the same interactions.

        Args:
            user_ids: Only of these users, or of this one.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with Corpus.open(":memory:") as one, Corpus.open(":memory:") as other:
            ...     reports = one.add(rows), other.add(rows)
            ...     one.digest() == other.digest("ada")
            True
        """
        total = sha256()
        for keys in self._reader.keys(_ids(user_ids)):
            # The keys hash everything of a row, its user included.
            total.update("\n".join(sorted(keys)).encode() + b"\n\n")
        return total.hexdigest()

    def export(self, path: str | Path, user_ids: str | Sequence[str] | None = None) -> int:
        """Write interactions as JSON Lines in the row format and return how many.

        Loading the file into an empty store gives the same interactions with the same keys.

        Args:
            path: The file; one of that name is replaced.
            user_ids: Only of these users, or of this one.

        Raises:
            CorpusError: If the file cannot be written.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder, Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     corpus.export(Path(folder) / "ada.jsonl")
            1
        """
        rows = self.rows(user_ids)
        return write_rows(path, rows, what="the corpus", error=CorpusError, form="jsonl")

    def rows(self, user_ids: str | Sequence[str] | None = None) -> Iterator[dict[str, object]]:
        """Iterate over interactions in the row format.

        Args:
            user_ids: Only of these users, or of this one.

        Returns:
            An iterator.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     [(row["user_id"], row["action"]) for row in corpus.rows()]
            [('ada', 'Yes.')]
        """
        self._settle()
        return self._reader.rows(_ids(user_ids))

    def forget(self, user_id: str, *, mentions: bool = False) -> Removal:
        """Remove everything of one user: rows, index, traces, responses, adapters.

        An adapter that learned from several users is removed too: what was learned from one
        of them cannot be taken out again. Trainings that learn from them stop, in whatever
        process, and remove what they wrote.

        Args:
            user_id: Who.
            mentions: Also take their name and words out of other people's rows in which they
                speak, and delete the traces and answers that were made with these rows.

        Returns:
            What was removed, and what remains to be finished.

        Raises:
            UserNotFoundError: If there is no such user.
            CorpusError: If a folder cannot be deleted, or the store cannot be written; the same
                repeated call resumes.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     corpus.forget("ada").interactions, corpus.holds("ada")
            (1, False)
        """
        try:
            return forget(self._database, user_id, self._adapter_folders, redact=mentions)
        finally:
            for act in self._after_forgetting:
                act()

    def after_forgetting(self, act: Callable[[], None]) -> None:
        """Call `act` whenever this corpus has forgotten somebody, or tried to.

        For what was computed from their rows and lives outside the store, such as the prompts
        that an engine keeps in memory. Another process that has the store open is not told.

        Args:
            act: Takes nothing; may be called often.

        Example:
            >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add(rows)
            ...     corpus.after_forgetting(lambda: print("forgotten"))
            ...     removal = corpus.forget("ada")
            forgotten
        """
        self._after_forgetting.append(act)

    def finish_forgetting(self, user_id: str | None = None) -> Remains:
        """Finish what `forget` reported as remaining.

        On PostgreSQL this also rewrites the tables (VACUUM FULL), since their files keep
        deleted rows; each is locked meanwhile.

        Args:
            user_id: Somebody who was forgotten: adapters and checkpoints that name them, in the
                store's own folder, are deleted.

        Returns:
            What remains now.

        Raises:
            CorpusError: If the store still holds the user, or the disk refuses.

        Example:
            >>> with Corpus.open(":memory:") as corpus:
            ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
            ...     removal = corpus.forget("ada")
            ...     corpus.finish_forgetting("ada")
            Remains(log_bytes=0, trainings=(), folders_left=(), deleted=())
        """
        return finish_forgetting(self._database, self._adapter_folders, user_id)

    def remove_adapter(self, name: str) -> RemovedAdapter:
        """Remove an adapter from the store, and its folder where that is the store's own.

        Args:
            name: The adapter, or a beginning of its name.

        Returns:
            What was removed, and what was left.

        Raises:
            NotStoredError: If there is no such adapter, or several begin so.

        Example:
            ```python
            removed = corpus.remove_adapter("ada-1f0c")
            ```
        """
        return remove_adapter(self.ledger, name, self._adapter_folders)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            ConfigError: Saying what to hand to a worker instead.
        """
        raise ConfigError(
            f"a Corpus is connected to the store {self.name!r} and cannot be pickled or copied",
            hint="pass the path or URL of the store to the worker, and open it there: "
            "Corpus.open(path)",
        )

    def _settle(self) -> None:
        """Place the users that a load, perhaps one that was killed, left unplaced."""
        if not self._settled:
            place_users(self._database, train_share=self._config.train_share)
            self._settled = True


def _ids(user_ids: str | Sequence[str] | None) -> Sequence[str] | None:
    """Return ids as a list; a lone one is a person, and not a list of letters."""
    return [user_ids] if isinstance(user_ids, str) else user_ids


def _records(source: object, how: SourceOptions) -> Records:
    if not isinstance(source, Corpus):
        return open_source(source, how)
    rows = enumerate(source.rows(), start=1)
    return Records(f"the corpus {source.name}", "json", rows)
