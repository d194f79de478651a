"""Who a simulator stands for, and what of theirs may be learned from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from usersim.corpus import Corpus
from usersim.errors import ArgumentError, ConfigError, EmptySplitError
from usersim.types import Interaction
from usersim.types.counting import counted

__all__ = ["People"]


@dataclass(frozen=True, slots=True)
class People:
    """One person of a corpus, or everybody in it.

    Attributes:
        corpus: The store.
        user_id: The person; None for everybody.
        chosen: Of everybody, only these; empty for all of them.
    """

    corpus: Corpus
    user_id: str | None
    chosen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.user_id is not None:
            self.corpus.require(self.user_id)
        for user_id in self.chosen:
            self.corpus.require(user_id)

    @property
    def users(self) -> list[str]:
        """Their ids."""
        if self.user_id is not None:
            return [self.user_id]
        if self.chosen:
            return list(self.chosen)
        return self.corpus.user_ids()

    @property
    def folder(self) -> Path:
        """Where their adapters are kept: the store's own folder of adapters."""
        return self.corpus.adapters_root

    def one(self, user_id: str | None) -> str:
        """Return `user_id`, or the only person there is.

        Raises:
            ArgumentError: If `user_id` is not a text.
            ConfigError: If there are several and none is named.
            UserNotFoundError: If there is no such user.
        """
        if user_id is not None and not isinstance(user_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(
                f"user_id must be the id of one person; got {user_id!r}",
                hint="respond_many() takes a list of people, one for each context",
            )
        chosen = user_id or self.user_id
        if chosen is not None:
            self.corpus.require(chosen)
            return chosen
        people = self.users
        if len(people) != 1:
            raise ConfigError(
                "no user was named, and the corpus holds "
                f"{counted(len(people), 'person', 'people')}",
                hint=f"give user_id=, for instance {people[0]!r}" if people else "",
                cli_hint=f"give --user, for instance --user {shlex.quote(people[0])}"
                if people
                else "",
            )
        return people[0]

    def each(self, user_id: str | Sequence[str] | None, n: int) -> list[str]:
        """Return who answers each of `n` contexts: one person for all, or those listed.

        Raises:
            ConfigError: If another number of people is listed.
        """
        if user_id is None or isinstance(user_id, str):
            return [self.one(user_id)] * n
        people = [self.one(person) for person in user_id]
        if len(people) != n:
            raise ConfigError(
                f"user_id lists {counted(len(people), 'person', 'people')} for "
                f"{counted(n, 'context')}",
                hint="give one person for all contexts, or one for each",
            )
        return people

    def only(self, user_ids: Sequence[str] | None) -> People:
        """Return some of these people; None for all of them.

        Raises:
            ArgumentError: If the list is empty, or `user_ids` is a single text.
            UserNotFoundError: If there is no such user.
        """
        if user_ids is None:
            return self
        if isinstance(user_ids, str) or not user_ids:
            raise ArgumentError(
                f"people must be a list of user ids, at least one; got {user_ids!r}",
                hint=f"people=[{user_ids!r}]" if user_ids else "leave it out for everybody",
            )
        return replace(self, user_id=None, chosen=tuple(dict.fromkeys(user_ids)))

    def train(self, limit: int | None) -> list[Interaction]:
        """Return the train split, the newest `limit` interactions of each person.

        Raises:
            EmptySplitError: If there is nothing to learn from.
        """
        found: list[Interaction] = []
        for user in self.users:
            own = list(self.corpus.interactions([user], split="train"))
            found.extend(own if limit is None else own[max(len(own) - limit, 0) :])
        if not found:
            raise EmptySplitError(
                f"no training data in {self.corpus.name!r}",
                hint="load a corpus first; `usersim users` shows what it holds",
            )
        return found
