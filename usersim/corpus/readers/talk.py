"""Talk among people: turns become rows, one per turn of the modeled person.

What every reader of a messenger, a forum or a server hands on are `Turn`s in the order in which
they were written. Here it is settled whose turns are actions, which turns belong together, and how
much of what was said before is the context of an action.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from usersim.corpus.readers.records import LeftOut, Unreadable
from usersim.errors import SpeakerNotFoundError
from usersim.types import Moment

__all__ = ["OPENING", "Piece", "Speaker", "Speakers", "Talk", "Turn", "spoken_name"]

OPENING = "(The conversation begins.)"
"""Context of a turn that nothing precedes; a neutral line, so that no context is empty."""


class Speaker(NamedTuple):
    """Who wrote a turn.

    Attributes:
        key: What tells this person apart from others in the source: an id where it has one.
        name: What they are called.
        others: Further names by which the person may be meant: user name, address.
    """

    key: str
    name: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat.

    Attributes:
        speaker: Who wrote it.
        text: What they wrote.
        time: When, where known.
        number: Its place in the source, from 1.
        chat: Which chat it belongs to; turns of a chat stand together.
        title: What conversations of the chat are named after. It stays the same from one export
            to the next, so that what was loaded is found again.
        thread: The thread in it that it belongs to; None for the chat's main flow.
        id: Its id in the source.
        own: Whether the words are the speaker's own: not forwarded, not sent by a program.
        root: Whether a thread begins with it.
    """

    speaker: Speaker
    text: str
    time: Moment | None
    number: int
    chat: str
    title: str
    thread: str | None = None
    id: str | None = None
    own: bool = True
    root: bool = False


Piece = Turn | LeftOut | Unreadable
"""What a reader hands on: a turn, what is not a turn, or what cannot be read."""


def spoken_name(name: str) -> str:
    """Return a name without invisible characters and with single spaces.

    Example:
        >>> spoken_name("\u202a+49 151 1234567\u202c")
        '+49 151 1234567'
    """
    shown = "".join(c for c in name if c == "\u200d" or unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", shown).split())


class Speakers:
    """Who speaks in a source, and how often.

    Example:
        >>> speakers = Speakers()
        >>> speakers.hear(Speaker("u1", "Mira"))
        >>> speakers.find("mira", None), speakers.counts()
        ('u1', {'Mira': 1})
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, Speaker] = {}

    def hear(self, speaker: Speaker) -> None:
        """Count a turn."""
        self._counts[speaker.key] += 1
        self._names[speaker.key] = speaker

    def counts(self) -> dict[str, int]:
        """Return the messages of each speaker, most first; a name that two share has its id."""
        shared = Counter(speaker.name for speaker in self._names.values())
        return {
            name if shared[name] == 1 else f"{name} ({key})": count
            for key, count in self._counts.most_common()
            for name in (self._names[key].name,)
        }

    def find(self, person: str | None, user_id: str | None) -> str:
        """Return the key of the modeled person.

        Args:
            person: Their name or id, exactly or without case.
            user_id: The id to model them under; a speaker's name serves as `person` too.

        Raises:
            SpeakerNotFoundError: If nobody is named, or the name fits nobody or several.
        """
        wanted = person or user_id
        found = self._matching(wanted) if wanted else []
        if len(found) == 1:
            return found[0]
        raise SpeakerNotFoundError(person, self.counts(), several=len(found) > 1)

    def name(self, key: str) -> str:
        """Return what a speaker is called."""
        return self._names[key].name

    def _matching(self, wanted: str) -> list[str]:
        if wanted in self._names:
            return [wanted]
        bare = spoken_name(wanted)
        forms: tuple[Callable[[str], str], ...] = (spoken_name, lambda n: spoken_name(n).casefold())
        for form in forms:
            aim = form(bare)
            found = [
                key
                for key, who in self._names.items()
                if aim in {form(name) for name in (who.name, f"{who.name} ({key})", *who.others)}
            ]
            if found:
                return found
        return []


@dataclass(slots=True)
class Talk:
    """From pieces to rows.

    A chat without threads is cut into conversations where nothing was written for `gap` seconds,
    so that a chat of years is many conversations and can be split by time.

    Args:
        key: Whose turns are actions.
        owner: The id under which they are stored.
        gap: Seconds of silence that end a conversation.
        most: Messages that a context has at most, the newest.
    """

    key: str
    owner: str
    gap: float
    most: int
    _flows: dict[str | None, _Flow] = field(default_factory=dict[str | None, "_Flow"])
    _roots: dict[str, dict[str, str | None]] = field(
        default_factory=dict[str, dict[str, str | None]]
    )
    _chat: str | None = None

    def rows(
        self, pieces: Iterable[Piece]
    ) -> Iterator[tuple[int, Mapping[str, object] | LeftOut | Unreadable]]:
        """Yield a row per turn of the person, and pass on what is not a turn.

        Args:
            pieces: Of all chats, the turns of each in their order.

        Yields:
            The place in the source, and the row or what is none.
        """
        number = 0
        for piece in pieces:
            if not isinstance(piece, Turn):
                yield number + 1, piece
                continue
            number = piece.number
            if piece.chat != self._chat:
                self._chat = piece.chat
                self._flows.clear()
                self._roots.clear()
            flow = self._flow(piece)
            own = piece.speaker.key == self.key
            if own and piece.own:
                yield number, self._row(piece, flow)
            elif own:
                yield number, LeftOut("messages of the person in others' words")
            message = self._message(piece, own=own)
            flow.said.append(message)
            flow.last = piece.time or flow.last
            if piece.root and piece.id is not None:
                self._roots[piece.id] = message

    def _flow(self, turn: Turn) -> _Flow:
        flow = self._flows.get(turn.thread)
        silent = (
            flow is not None
            and turn.thread is None
            and turn.time is not None
            and flow.last is not None
            and turn.time.seconds - flow.last.seconds > self.gap
        )
        if flow is None or silent:
            begun = turn.thread or (turn.time.text if turn.time else str(turn.number))
            flow = self._flows[turn.thread] = _Flow(
                f"{turn.title}/{begun}", deque(maxlen=self.most)
            )
            if turn.thread in self._roots:
                flow.said.append(self._roots[turn.thread])
        return flow

    def _row(self, turn: Turn, flow: _Flow) -> dict[str, object]:
        opening = {"role": "system", "name": "conversation", "content": OPENING}
        return {
            "user_id": self.owner,
            "conversation_id": flow.name,
            "timestamp": turn.time.text if turn.time else None,
            "id": turn.id,
            "context": list(flow.said) or [opening],
            "action": turn.text,
            "action_type": "free_text",
        }

    def _message(self, turn: Turn, *, own: bool) -> dict[str, str | None]:
        name = self.owner if own else turn.speaker.name
        if not own and name == self.owner:
            name = f"{name} (another)"
        return {"role": "user", "name": name, "content": turn.text}


@dataclass(slots=True)
class _Flow:
    """What was said in one conversation so far."""

    name: str
    said: deque[dict[str, str | None]]
    last: Moment | None = None
