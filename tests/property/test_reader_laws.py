"""Laws of the text parsers: what was written is read back, and any bytes end in a report."""

from __future__ import annotations

import io
import json
import mailbox
import re
from collections import Counter
from contextlib import closing, suppress
from datetime import datetime
from email.message import EmailMessage

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from usersim.config import CorpusConfig
from usersim.corpus.readers import SourceOptions, open_source, row_maker
from usersim.corpus.readers.archive import Member
from usersim.corpus.readers.mail import Mailbox, own_words
from usersim.corpus.readers.records import LeftOut
from usersim.corpus.readers.talk import Turn
from usersim.corpus.readers.whatsapp import BEFORE, WhatsApp, _header
from usersim.corpus.store.prepared_rows import Tally
from usersim.corpus.store.rows import RowChecker
from usersim.corpus.store.values import RowError
from usersim.errors import UsersimError

MANY = settings(max_examples=4 * settings().max_examples)
"""For examples that are cheap and of many kinds, in either profile."""

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), max_size=40
)
LINES = st.lists(WORDS, min_size=1, max_size=4).map("\n".join)
NAMES = st.sampled_from(["Mira", "Bo Müller", "+49 151 1234567", "美咲", "ann-marie 🫖"])
DAY = datetime.fromisoformat("2024-05-01")
TIMES = st.datetimes(
    datetime.fromisoformat("2015-01-13"), datetime.fromisoformat("2029-12-31")
).map(lambda moment: moment.replace(microsecond=0))


def half(moment: datetime) -> str:
    """Return a 12-hour clock."""
    return f"{(moment.hour - 1) % 12 + 1}:{moment:%M} {'AM' if moment.hour < 12 else 'PM'}"


STYLES = {
    "iphone de": lambda t: f"[{t:%d.%m.%y, %H:%M:%S}] ",
    "iphone us": lambda t: f"[{t.month}/{t.day}/{t:%y}, {half(t)}] ",
    "android uk": lambda t: f"{t:%d/%m/%Y, %H:%M} - ",
    "android us": lambda t: f"{t.month}/{t.day}/{t:%y}, {half(t).replace(' ', chr(0x202F))} - ",
    "android de": lambda t: f"{t:%d.%m.%y, %H:%M} - ",
    "android fr": lambda t: f"{t:%d/%m/%Y} à {t:%H:%M} - ",
    "iso": lambda t: f"[{t:%Y-%m-%d, %H:%M:%S}] ",
}


def whatsapp(text: str, **how: str) -> WhatsApp:
    """Open a text as a chat."""
    data = text.encode()
    return WhatsApp(Member("chat.txt", lambda: io.BytesIO(data)), **how)


def plain(text: str) -> bool:
    """Whether no line of a text is something that the phone would have written."""
    bare = text.strip()
    phone = bare.startswith("<") or bare.lower() == "null" or "://" in bare
    attached = re.search(r"\.\w{2,5} \(", bare)
    return bool(bare) and not phone and not attached and not bare.endswith(">")


@given(
    st.lists(st.tuples(TIMES, NAMES, LINES.filter(plain)), min_size=1, max_size=8),
    st.sampled_from(sorted(STYLES)),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_whatsapp_chat_is_read_back(
    said: list[tuple[datetime, str, str]], style: str, end: str
) -> None:
    """In every style each message has its speaker, time and text, several lines included."""
    said = sorted(said, key=lambda one: one[0])
    assume(not any(_header(line) for _, _, text in said for line in text.split("\n")[1:]))
    order = "mdy" if style.endswith("us") else "dmy"
    text = "".join(
        f"{STYLES[style](moment)}{name}: {text.replace(chr(10), end)}{end}"
        for moment, name, text in said
    )
    pieces = list(whatsapp(text, order=order).pieces())
    assert all(isinstance(piece, Turn) for piece in pieces), pieces
    minutes = "iphone de" not in style and "iso" not in style
    expected = [
        (t.replace(second=0) if minutes else t, name, text.strip()) for t, name, text in said
    ]
    found = [(datetime.fromisoformat(p.time.text), p.speaker.name, p.text) for p in pieces]
    assert [(t, name) for t, name, _ in found] == [(t, name) for t, name, _ in expected]
    assert [text.split() for *_, text in found] == [text.split() for *_, text in expected]


@given(
    st.lists(TIMES, min_size=3, max_size=12).map(sorted),
    st.sampled_from(["android uk", "android us", "android de", "iphone us"]),
)
def test_day_and_month_are_told_apart_wherever_the_file_settles_it(
    moments: list[datetime], style: str
) -> None:
    """One date after the twelfth, in a chat that runs forward, says how all are written."""
    assume(any(moment.day > 12 for moment in moments))
    chat = whatsapp("".join(f"{STYLES[style](moment)}Mira: x\n" for moment in moments))
    times = [datetime.fromisoformat(piece.time.text) for piece in chat.pieces()]
    assert [t.date() for t in times] == [t.date() for t in moments]
    assert chat.notes() == []


@given(
    st.lists(
        st.one_of(LINES, st.sampled_from([make(DAY) for make in STYLES.values()])),
        max_size=12,
    ).map("".join)
)
def test_any_lines_are_turns_or_counted(text: str) -> None:
    """No line of a file is lost: each belongs to a turn or to something that was left out."""
    chat = whatsapp(text)
    pieces = list(chat.pieces())
    headers = sum(_header(line, chat._shape) is not None for line in text.split("\n"))
    before = [piece for piece in pieces if isinstance(piece, LeftOut) and piece.reason == BEFORE]
    assert len(pieces) - len(before) == headers
    if not headers:
        assert sum(one.count for one in before) == sum(map(bool, map(str.strip, text.split("\n"))))


BODY = st.lists(
    st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=60), max_size=6
).map("\n".join)
QUOTED = st.lists(WORDS.filter(str.strip), min_size=1, max_size=3)


def own(text: str) -> bool:
    """Whether a text holds nothing that the rule for quotes takes for one."""
    return own_words(text) == (text.strip(), "") and not text.startswith(">")


@given(BODY.filter(own), QUOTED)
def test_own_words_end_where_a_quotation_begins(text: str, quoted: list[str]) -> None:
    """Each usual way to quote leaves the person's own words as they are."""
    lines = "\n".join(f"> {line}" for line in quoted)
    for opening in (
        f"On Wed, 1 May 2024 at 10:00, Bo <bo@x.example> wrote:\n{lines}",
        f"Am 01.05.2024 um 10:00 schrieb Bo:\n{lines}",
        f"-----Original Message-----\nFrom: Bo\nSent: today\n\n{quoted[0]}",
        f"From: Bo\nSent: Wednesday, 1 May 2024\nTo: Mira\nSubject: Tea\n\n{quoted[0]}",
    ):
        words, rest = own_words(f"{text}\n\n{opening}\n")
        assert words == text.strip()
        assert quoted[0].strip().lstrip("> ") in rest


@given(st.lists(BODY.filter(lambda body: own(body) and body.strip()), min_size=1, max_size=5))
def test_a_mailbox_that_python_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str]
) -> None:
    """Every mail is there with its own words, lines that begin with "From " included."""
    path = tmp_path_factory.mktemp("mail") / "box.mbox"
    with closing(mailbox.mbox(path)) as box:
        for number, body in enumerate(bodies):
            mail = EmailMessage()
            mail["From"] = "Mira <mira@x.example>"
            mail["Message-ID"] = f"<{number}@x.example>"
            mail["Date"] = "Wed, 1 May 2024 10:00:00 +0000"
            mail.set_content("From here on:\n" + body)
            box.add(mail)
        box.flush()
    member = Member("box.mbox", lambda: io.BytesIO(path.read_bytes()))
    found = Mailbox(member)
    found.read()
    rows = [row for _, row in found.rows("mira@x.example", "mira") if isinstance(row, dict)]
    assert [str(row["action"]).split() for row in rows] == [
        ["From", "here", "on:", *body.split()] for body in bodies
    ]


HEADS = [
    b"", b"PK\x03\x04", b"From a@b Wed May  1 10:00:00 2024\n", b"[31.12.23, 18:05:09] Mira: ",
    b'{"name": "x", "type": "personal_chat", "id": 1, "messages": [', b'[{"mapping": {}, ',
    b'{"guild": {"id": "1"}, "channel": {"id": "2"}, "messages": [', b"id,tea\n", b"$FL2", b"PAR1",
    b'[{"chat_messages": [', b'{"about": "", "personal_information": {}, "chats": {"list": [',
    b"sep=;\n", b"\xff\xfe",
]  # fmt: skip


def drain(source: object) -> Counter[str]:
    """Read a source as a load does, without a store, and count what came of it."""
    counts: Counter[str] = Counter()
    checker = RowChecker(CorpusConfig(), user_id="mira", tally=Tally())
    records = open_source(source, SourceOptions(person="Mira", user_id="mira"))
    items = list(records.items)
    first = next((record for _, record in items if isinstance(record, dict)), None)
    _, make = row_maker(
        records.format or "auto", first, codebook=records.codebook, person=None, user_id="mira"
    )
    for _, record in items:
        made = [record]
        if isinstance(record, dict) and not {"context", "action"} <= record.keys():
            try:
                made = list(make(record))
            except RowError:
                counts["refused"] += 1
                continue
        for row in made:
            try:
                counts["rows" if isinstance(row, dict) and checker.check(row) else "others"] += 1
            except RowError:
                counts["refused"] += 1
    list(make.finish())
    return counts


@MANY
@given(st.sampled_from(HEADS), st.binary(max_size=200) | LINES.map(str.encode))
def test_any_bytes_end_in_rows_or_in_our_error(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes
) -> None:
    """Whatever a file holds after a promising beginning, no other exception comes out."""
    path = tmp_path_factory.mktemp("fuzz") / "source"
    path.write_bytes(head + rest)
    with suppress(UsersimError):
        drain(path)


WORDS_OF_FORMATS = ["", "x", "user", "text", "message", "a"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(WORDS_OF_FORMATS),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "mapping", "current_node", "message", "author", "role", "content", "parts", "text",
                "parent", "content_type", "chat_messages", "sender", "uuid", "type", "from",
                "messages", "conversation", "prompt", "replies", "message_tree_id", "message_id",
                "parent_id", "chosen", "rejected", "conversation_a", "conversation_b", "winner",
            ]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
SHAPES = [
    ("mapping", "current_node"), ("chat_messages",), ("messages",), ("conversations",),
    ("conversation",), ("chosen", "rejected"), ("message_tree_id", "prompt"),
    ("message_id", "parent_id", "role", "text"), ("conversation_a", "conversation_b", "winner"),
]  # fmt: skip


@MANY
@given(st.sampled_from(SHAPES), st.lists(JSON, min_size=4, max_size=4), JSON)
def test_any_record_of_a_chat_is_refused_or_read(
    shape: tuple[str, ...], values: list[object], more: object
) -> None:
    """Fields of any type under the names of a format never end in another exception."""
    record = dict(zip(shape, values, strict=False))
    record |= more if isinstance(more, dict) else {}
    with suppress(UsersimError):
        drain([json.loads(json.dumps(record))])
