"""Files of every kind, changed at random: each is read, or refused by a typed error."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from tests.fixtures import exports, qsf
from tests.fixtures.people import person
from tests.soak.attack import Field, typed
from usersim import Corpus
from usersim.errors import CorpusError
from usersim.evaluation.report_files import read_provenance, read_scores
from usersim.files import csv_text
from usersim.simulator.dialogue_files import DialogueFile, read_dialogues
from usersim.simulator.saving import read_simulator
from usersim.survey import Survey
from usersim.survey.files import read_answers, read_qsf, read_qualtrics_csv
from usersim.training import load_artifact

SURVEY = {
    "title": "Tea",
    "sections": [
        {
            "id": "first",
            "text": "About tea.",
            "questions": [
                {"id": "tea", "type": "yes_no", "text": "Do you drink tea?"},
                {"id": "cups", "type": "number", "text": "How many cups?", "low": 0, "high": 20,
                 "show_if": 'tea == "yes" and cups_before < 3' and 'tea == "yes"'},
                {"id": "why", "type": "open_text", "text": "Why {{ tea }}?"},
            ],
        }
    ],
}  # fmt: skip
ANSWERS = [
    {"respondent": "ada", "question": question, "item": "", "value": value, "code": None,
     "mode": "direct"}
    for question, value in (("tea", "yes"), ("cups", 3.0), ("why", "It is warm."))
]  # fmt: skip
TOKENS = (
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\n", b'"', b"'", b"{", b"[", b"}", b"]", b",",
    b"null", b"NaN", b"1e999", b"-0", b"9" * 400, b"9" * 5000, b"[" * 3000, b'{"a":' * 300,
    b"<a " * 500, b"<!--" * 300, b"&#x110000;", b"\\ud800", b"=1+1", b"../../x", b"%n", b"${jndi}",
    b"{{ 7*7 }}", b"{% raw %}", b"\x1b[2J", b"\xe2\x80\xae", b"!!python/object:os.system", b"*a",
    b"&a", b"1:1:1", b"True", b"2024-13-45", b"a" * 20_000,
)  # fmt: skip


def changed(content: bytes, rng: random.Random) -> bytes:
    """Change a file at some places."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at : min(end, at + rng.choice((1, 4, 64, 4096)))]
        elif kind == 2:
            data[at:at] = data[at : min(end, at + 400)] * rng.choice((1, 2, 30))
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data[at:at] = rng.choice(TOKENS)
        elif kind == 5:
            data[at : at + rng.randint(0, 9)] = rng.choice(TOKENS)
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 30))
        if len(data) > 400_000:
            break
    return bytes(data)


def _lines(rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)  # type: ignore[attr-defined]


@cache
def corpora() -> Mapping[str, bytes]:
    """Whole files of every format of corpora, by name."""
    rows = person("ada", 8)
    chat = {
        "user_id": "ada",
        "messages": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "Yes."},
                     {"role": "user", "content": "Now?"}],
    }  # fmt: skip
    wide = [{"user_id": "ada", "tea": "yes", "joy": 3}, {"user_id": "bo", "tea": "no", "joy": 1}]
    return {
        "rows.jsonl": _lines(rows),
        "rows.csv": csv_text(rows, sorted({name for row in rows for name in row})).encode(),
        "rows.json": json.dumps(rows, indent=1).encode(),
        "rows.jsonl.gz": gzip.compress(_lines(rows)),
        "chat.jsonl": _lines([chat]),
        "share.jsonl": _lines([{"conversations": [{"from": "human", "value": "Tea?"},
                                                  {"from": "gpt", "value": "Yes."}]}]),
        "wide.csv": csv_text(wide).encode(),
        "chatgpt.json": json.dumps(exports.chatgpt()).encode(),
        "claude.json": json.dumps(exports.claude()).encode(),
        "telegram.json": json.dumps(exports.telegram()).encode(),
        "account.json": json.dumps(exports.telegram_account()).encode(),
        "discord.json": json.dumps(exports.discord()).encode(),
        "tree.jsonl": _lines([exports.oasst_tree()]),
        "android.txt": exports.ANDROID.encode(),
        "iphone.txt": exports.IPHONE.encode(),
        "box.mbox": exports.MBOX.encode(),
    }  # fmt: skip


def corpus(field: Field) -> None:
    """A file of people, with and without what a reader may be told."""
    name = field.rng.choice(sorted(corpora()))
    path = field.folder / name
    path.write_bytes(changed(corpora()[name], field.rng))
    how: dict[str, object] = {}
    if field.rng.random() < 0.7:
        how["person"] = field.rng.choice(("user", "ada", "Ada", "ada@x.test", "Mira"))
        how["user_id"] = "ada" if field.rng.random() < 0.5 else None
    if name == "wide.csv" and field.rng.random() < 0.8:
        how["codebook"] = {"items": {"tea": {"text": "Tea?"}, "joy": {"text": "Joy?"}}}

    def load() -> None:
        with Corpus.open(":memory:") as opened:
            report = opened.add(path, **how)
            assert str(report)
            count = report.kept + report.already_present + report.merged
            count += len(report.refused) + report.other_users
            assert count == report.rows_read, report
            report.refused.write(field.folder / "refused.jsonl")
            opened.export(field.folder / "out.jsonl")
            opened.requests(path)

    typed(field, "corpus files", load)


def _written(field: Field, name: str, whole: bytes) -> Path:
    path = field.folder / name
    path.write_bytes(changed(whole, field.rng))
    return path


def _yaml() -> bytes:
    import yaml

    return yaml.safe_dump(SURVEY).encode()


def _qualtrics() -> bytes:
    return csv_text([
        {"StartDate": "Start Date", "ResponseId": "Response ID", "tea": "Do you drink tea?"},
        {"StartDate": '{"ImportId":"startDate"}', "ResponseId": '{"ImportId":"_recordId"}',
         "tea": '{"ImportId":"QID1"}'},
        {"StartDate": "2024-01-01 10:00:00", "ResponseId": "R_1", "tea": "Yes"},
    ]).encode()  # fmt: skip


def survey(field: Field) -> None:
    """Instruments, imports and answers."""
    known = Survey.model_validate(SURVEY)
    cases: dict[str, tuple[bytes, Callable[[Path], object]]] = {
        "survey.json": (json.dumps(SURVEY).encode(), Survey.load),
        "survey.yaml": (_yaml(), Survey.load),
        "survey.qsf": (qsf.instrument(), read_qsf),
        "answers.jsonl": (_lines(ANSWERS), lambda path: read_answers(path, known)),
        "qualtrics.csv": (
            _qualtrics(),
            lambda path: read_qualtrics_csv(path, read_qsf(qsf.instrument())),
        ),
    }
    name = field.rng.choice(sorted(cases))
    whole, read = cases[name]
    path = _written(field, name, whole)

    def take() -> None:
        found = read(path)
        if isinstance(found, Survey):
            found.save(field.folder / "again.json")
            assert Survey.load(field.folder / "again.json").digest == found.digest

    typed(field, "survey files", take)


def other(field: Field) -> None:
    """What earlier work of usersim left behind: dialogues, simulators, adapters, reports."""
    folder = field.folder / "made"
    folder.mkdir(exist_ok=True)
    cases: dict[str, tuple[bytes, Callable[[Path], object]]] = {
        "dialogues.jsonl": (
            _lines([{"key": "k", "scenario": {"user_id": "ada", "goal": "tea"}, "turns": []}]),
            _dialogues,
        ),
        "simulator.json": (
            b'{"format": 1, "store": "a.db", "user_id": "ada", "model": "m", "traces": null}',
            lambda path: read_simulator(path.parent),
        ),
        "usersim.json": (
            b'{"format": 1, "name": "ada", "files": {}}',
            lambda path: load_artifact(path.parent),
        ),
        "predictions.jsonl": (
            _lines([{"key": "k", "user_id": "ada", "conversation": "c",
                     "arms": {"none": {"scores": {"accuracy": 1.0}}}}]),
            lambda path: read_scores(path.parent, "accuracy"),
        ),
        "command.json": (b'{"command": "usersim evaluate"}', lambda p: read_provenance(p.parent)),
    }  # fmt: skip
    name = field.rng.choice(sorted(cases))
    whole, read = cases[name]
    path = folder / name
    path.write_bytes(changed(whole, field.rng))
    typed(field, "other files", lambda: read(path))


def _dialogues(path: Path) -> None:
    found = list(read_dialogues(path))
    with DialogueFile(path) as file:
        if len(file.found) != len({one.key for one in found}):
            raise CorpusError("the file was fixed")


def once(field: Field) -> None:
    """Twenty files."""
    for _ in range(20):
        field.rng.choice((corpus, corpus, survey, survey, other))(field)
