"""What the other stages made of a corpus: traces, scores, selections, adapters, responses.

Typed access to the tables, for stages that may not know the store. A `stage_key` is an opaque
fingerprint of the settings that a stage ran with; equal keys mean that finished work can be
taken over. Every write is one small transaction and can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Insert, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from usersim.corpus.ledger import rows
from usersim.corpus.ledger.adapter_folders import AdapterFolders
from usersim.corpus.ledger.records import (
    AdapterRecord,
    Response,
    ResponseRecord,
    TraceRecord,
)
from usersim.corpus.ledger.trainings import Training, check_training
from usersim.corpus.store.database import Database, in_pieces
from usersim.corpus.store.owners import missing_interactions, row_ids, user_row_id
from usersim.corpus.store.tables import (
    adapter_users,
    adapters,
    candidates,
    interactions,
    responses,
    selections,
    users,
)
from usersim.errors import NotStoredError, UserForgottenError
from usersim.types import Candidate, Interaction, ScoredCandidate, Selection

__all__ = ["Ledger"]

_T = TypeVar("_T")
_PAGE = 500
_HEX_END = "g"  # sorts after every hexadecimal digit


class Ledger:
    """The tables of the other stages in one store.

    Args:
        database: The store.
        folders: Where its adapters lie.

    Example:
        >>> from usersim import Corpus
        >>> with Corpus.open(":memory:") as corpus:
        ...     report = corpus.add([{"user_id": "ada", "context": "Tea?", "action": "Yes."}])
        ...     (tea,) = corpus.interactions()
        ...     drawn = Candidate(interaction_key=tea.key, direction="forward", draw=0, seed=0,
        ...                       reasoning="I like tea.", complete=True, model="m", prompt_id="p")
        ...     corpus.ledger.put_candidates("my-settings", [drawn])
        ...     corpus.ledger.candidates("my-settings", [tea.key])[tea.key] == [drawn]
        True
    """

    def __init__(self, database: Database, folders: AdapterFolders) -> None:
        self._database = database
        self._folders = folders

    # Traces

    def put_candidates(
        self, stage_key: str, drawn: Sequence[Candidate], *, of: Sequence[Interaction] = ()
    ) -> None:
        """Store candidates; those that are there already stay as they are.

        Args:
            stage_key: The stage's fingerprint.
            drawn: Candidates of interactions that the store holds.
            of: These interactions, so that an error can name their people.

        Raises:
            UserForgottenError: If an interaction of `of` is not stored any more.
            NotStoredError: If any other is not stored.
        """
        values = [rows.candidate_row(stage_key, candidate) for candidate in drawn]
        statement = self._insert_new(candidates, ["stage_key", "key"])
        self._put(statement, values, of)

    def candidates(
        self, stage_key: str, interaction_keys: Sequence[str]
    ) -> dict[str, list[Candidate]]:
        """Return the candidates of a stage by interaction, by direction and draw.

        Args:
            stage_key: The stage's fingerprint.
            interaction_keys: Which interactions; those without candidates are left out.
        """
        found: dict[str, list[Candidate]] = {}
        for candidate in self._candidates(stage_key, interaction_keys, rows.candidate_of):
            found.setdefault(candidate.interaction_key, []).append(candidate)
        return found

    def put_scored(
        self, stage_key: str, scored: Sequence[ScoredCandidate], *, of: Sequence[Interaction] = ()
    ) -> None:
        """Store candidates with their scores; scores that are there already are replaced.

        Args:
            stage_key: The stage's fingerprint; that of the candidates, or one of its own.
            scored: Scored candidates of interactions that the store holds.
            of: These interactions, so that an error can name their people.

        Raises:
            UserForgottenError: If an interaction of `of` is not stored any more.
            NotStoredError: If any other is not stored.
        """
        values = [rows.scored_row(stage_key, item) for item in scored]
        if not values:
            return
        statement = self._upsert(candidates, ["stage_key", "key"], list(rows.SCORE_COLUMNS))
        self._put(statement, values, of)

    def scored(
        self, stage_key: str, interaction_keys: Sequence[str]
    ) -> dict[str, list[ScoredCandidate]]:
        """Return the scored candidates of a stage by interaction, by direction and draw.

        Args:
            stage_key: The stage's fingerprint.
            interaction_keys: Which interactions; those without scores are left out.
        """
        found: dict[str, list[ScoredCandidate]] = {}
        for item in self._candidates(stage_key, interaction_keys, rows.scored_of):
            if item is not None:
                found.setdefault(item.candidate.interaction_key, []).append(item)
        return found

    def _candidates(
        self, stage_key: str, interaction_keys: Sequence[str], make: Callable[[rows.AnyRow], _T]
    ) -> Iterator[_T]:
        for keys in in_pieces(list(dict.fromkeys(interaction_keys))):
            query = select(candidates).where(
                candidates.c.stage_key == stage_key, candidates.c.interaction_key.in_(keys)
            )
            with self._database.read() as connection:
                found = connection.execute(
                    query.order_by(candidates.c.direction, candidates.c.draw, candidates.c.key)
                )
                made = [make(row) for row in found]
            yield from made

    def put_selections(
        self, stage_key: str, chosen: Sequence[Selection], *, of: Sequence[Interaction] = ()
    ) -> None:
        """Store selections; those that are there already are replaced.

        Args:
            stage_key: The stage's fingerprint.
            chosen: Selections for interactions that the store holds.
            of: These interactions, so that an error can name their people.

        Raises:
            UserForgottenError: If an interaction of `of` is not stored any more.
            NotStoredError: If any other is not stored.
        """
        columns = ["kept", "reason", "utilities", "verdicts"]
        statement = self._upsert(selections, ["stage_key", "interaction_key"], columns)
        self._put(statement, [rows.selection_row(stage_key, choice) for choice in chosen], of)

    def selections(self, stage_key: str, interaction_keys: Sequence[str]) -> dict[str, Selection]:
        """Return the selections of a stage by interaction.

        Args:
            stage_key: The stage's fingerprint.
            interaction_keys: Which interactions; those without a selection are left out.
        """
        found: dict[str, Selection] = {}
        for keys in in_pieces(list(dict.fromkeys(interaction_keys))):
            query = select(selections).where(
                selections.c.stage_key == stage_key, selections.c.interaction_key.in_(keys)
            )
            with self._database.read() as connection:
                for row in connection.execute(query):
                    choice = rows.selection_of(row)
                    found[choice.interaction_key] = choice
        return found

    def find_trace(self, prefix: str) -> list[TraceRecord]:
        """Return what is known of a candidate, or of every candidate of an interaction.

        Args:
            prefix: Beginning of a candidate's or an interaction's key.
        """
        if not prefix:
            return []
        key, of = candidates.c.key, candidates.c.interaction_key
        end = prefix + _HEX_END
        query = (
            select(*candidates.c, users.c.user_id)
            .join(interactions, interactions.c.key == of)
            .join(users, users.c.id == interactions.c.user_id)
            .where(((key >= prefix) & (key < end)) | ((of >= prefix) & (of < end)))
            .order_by(of, candidates.c.stage_key, candidates.c.direction, candidates.c.draw)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
            keys = list(dict.fromkeys(row.interaction_key for row in found))
            choices = rows.choices(connection, keys)
            return [rows.trace(row, choices) for row in found]

    # Adapters

    def put_adapter(
        self,
        *,
        name: str,
        path: str | Path,
        digest: str,
        base_model: str,
        user_ids: Sequence[str],
        manifest: Mapping[str, object],
        training: Training | None = None,
    ) -> None:
        """Store an adapter; one of the same name is replaced.

        Args:
            name: Served name.
            path: Its folder; kept relative to the store's own folder of adapters if it lies
                below, so that both can be moved together.
            digest: Hash over its weights and configuration.
            base_model: What it was trained on.
            user_ids: Everybody whose data went into it: forgetting one of them removes it.
            manifest: Its manifest.
            training: What made it.

        Raises:
            UserForgottenError: If somebody was forgotten since the training began.
            UserNotFoundError: If there is no such user.
        """
        values = {
            "name": name,
            "path": self._folders.kept(path),
            "digest": digest,
            "base_model": base_model,
            "created": rows.now(),
            "manifest": rows.dump(manifest),
        }
        with self._database.write() as connection:
            if training is not None:
                check_training(connection, training)
            owners = [user_row_id(connection, user_id) for user_id in dict.fromkeys(user_ids)]
            connection.execute(delete(adapters).where(adapters.c.name == name))
            new = connection.scalar(insert(adapters).values(values).returning(adapters.c.id))
            if owners:
                links = [{"adapter_id": new, "user_id": owner} for owner in owners]
                connection.execute(insert(adapter_users), links)

    def adapters(self, user_id: str | None = None) -> list[AdapterRecord]:
        """Return the adapters, oldest first.

        Args:
            user_id: Only those that learned from this user.
        """
        query = select(adapters).order_by(adapters.c.id)
        with self._database.read() as connection:
            if user_id is not None:
                owner = user_row_id(connection, user_id)
                theirs = select(adapter_users.c.adapter_id).where(adapter_users.c.user_id == owner)
                query = query.where(adapters.c.id.in_(theirs))
            found = connection.execute(query).all()
            people = rows.people(connection)
            return [
                AdapterRecord(
                    name=row.name,
                    path=str(self._folders.located(row.path)),
                    digest=row.digest,
                    base_model=row.base_model,
                    user_ids=tuple(people.get(row.id, ())),
                    manifest=rows.load(row.manifest),
                    created=row.created,
                )
                for row in found
            ]

    def drop_adapter(self, name: str) -> None:
        """Remove an adapter from the store; its folder stays."""
        with self._database.write() as connection:
            connection.execute(delete(adapters).where(adapters.c.name == name))

    # Responses

    def put_responses(self, answers: Sequence[Response]) -> None:
        """Store answers given in users' names, all of them or none.

        Args:
            answers: The answers, of users that the store holds.

        Raises:
            UserForgottenError: If somebody was forgotten since they were asked: an interaction
                that stood in the prompt is not stored any more.
            UserNotFoundError: If there is no such user.
        """
        with self._database.write() as connection:
            owners = row_ids(connection, list({one.user_id for one in answers}), lock=True)
            missing = missing_interactions(
                connection, {key for one in answers for key in one.shown}
            )
            gone = {one.user_id for one in answers if not missing.isdisjoint(one.shown)}
            if gone:
                raise UserForgottenError(
                    gone, "an answer was being simulated for them", hint="the answer was not stored"
                )
            for one in answers:
                if one.user_id not in owners:
                    user_row_id(connection, one.user_id)  # raises with close matches
            values = [rows.response_row(one, owners[one.user_id]) for one in answers]
            if values:
                connection.execute(insert(responses), values)

    def responses(
        self, user_id: str | None = None, run_id: int | None = None
    ) -> Iterator[ResponseRecord]:
        """Yield answers, oldest first.

        Args:
            user_id: Only this user's.
            run_id: Only this run's.

        Yields:
            The answers.
        """
        query = select(responses, users.c.user_id.label("owner")).join(users)
        if user_id is not None:
            with self._database.read() as connection:
                query = query.where(responses.c.user_id == user_row_id(connection, user_id))
        if run_id is not None:
            query = query.where(responses.c.run_id == run_id)
        after = 0
        while True:
            page = query.where(responses.c.id > after).order_by(responses.c.id).limit(_PAGE)
            with self._database.read() as connection:
                found = connection.execute(page).all()
                made = [rows.response_of(row) for row in found]
            yield from made
            if len(found) < _PAGE:
                return
            after = found[-1].id

    def _put(
        self, statement: Insert, values: list[dict[str, object]], of: Sequence[Interaction]
    ) -> None:
        owners = {one.key: one.user_id for one in of}
        for part in in_pieces(values):
            with self._database.write() as connection:
                keys = {str(row["interaction_key"]) for row in part}
                self._check_stored(connection, keys, owners)
                connection.execute(statement, list(part))

    def _check_stored(
        self, connection: Connection, keys: Collection[str], owners: Mapping[str, str]
    ) -> None:
        """Refuse what was made from interactions that are not in the store.

        Raises:
            UserForgottenError: Naming the people of those that were.
            NotStoredError: Naming one whose person is not known.
        """
        missing = missing_interactions(connection, keys)
        if missing and missing <= owners.keys():
            raise UserForgottenError(
                {owners[key] for key in missing},
                "reasoning about their interactions was being generated",
                hint="repeat the call to resume without them",
            )
        for key in sorted(missing - owners.keys())[:1]:
            raise NotStoredError(
                f"the store {self._database.name!r} has no such interaction: {key!r}",
                hint="store traces with the corpus that holds their interactions",
            )

    def _dialect_insert(self, table: rows.AnyTable) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._database.is_sqlite else postgresql.insert(table)

    def _insert_new(self, table: rows.AnyTable, identity: list[str]) -> Insert:
        return self._dialect_insert(table).on_conflict_do_nothing(index_elements=identity)

    def _upsert(self, table: rows.AnyTable, identity: list[str], columns: list[str]) -> Insert:
        statement = self._dialect_insert(table)
        replaced = {name: statement.excluded[name] for name in columns}
        return statement.on_conflict_do_update(index_elements=identity, set_=replaced)
