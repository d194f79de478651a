"""Exports of chats and mail: recognized, read for one person, and nothing lost in silence."""

from __future__ import annotations

import gzip
import io
import json
import mailbox
import stat
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures import exports
from usersim.config import CorpusConfig
from usersim.corpus import Corpus
from usersim.corpus.readers import archive as archives
from usersim.errors import CorpusFormatError, SpeakerNotFoundError


@pytest.fixture
def corpus():
    """An empty store in memory."""
    with Corpus.open(":memory:") as opened:
        yield opened


def write(path: Path, content: object) -> Path:
    """Write a text, or anything else as JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_bytes(text.encode())
    return path


def said(corpus):
    """Return the last line of each context, and what the person wrote next."""
    return [(item.context[-1].content, item.action) for item in corpus.interactions()]


OPENING = "(The conversation begins.)"


# ChatGPT and Claude ---------------------------------------------------------------------------


def test_chatgpt_follows_the_branch_that_was_shown(corpus, tmp_path):
    """The edited question replaces the first; tools, thinking and hidden turns are counted."""
    report = corpus.add(write(tmp_path / "conversations.json", exports.chatgpt()), user_id="mira")
    assert (report.format, report.kept, len(report.refused)) == ("chatgpt", 3, 0)
    assert said(corpus) == [
        (OPENING, "How warm should the pot be?"),
        ("Eighty degrees, for green tea.", "this one?"),
        (OPENING, "Shorter, please."),
    ]
    assert report.left_out == {
        "system turns": 1, "hidden turns": 1, "thinking turns": 1, "tool turns": 2,
        "turns of other branches": 2, "media": 2, "empty turns": 1,
    }  # fmt: skip
    first = next(corpus.interactions())
    assert (first.conversation, first.user_id, first.metadata) == (
        "c-tea",
        "mira",
        {"title": "Tea"},
    )
    assert first.timestamp.startswith("2024-05-01T10:00")


def test_chatgpt_without_a_current_node_takes_the_newest_leaf(corpus):
    """Also where a circle or an unknown parent stands in the file."""
    (talk, _) = exports.chatgpt()
    talk["current_node"] = None
    corpus.add([talk], user_id="mira")
    assert [action for _, action in said(corpus)] == ["How warm should the pot be?", "this one?"]
    talk["mapping"]["root"]["parent"] = "q3"
    talk["current_node"] = "q3"
    assert corpus.add([talk], user_id="mira").already_present == 2


def test_an_export_that_names_nobody_needs_a_person_or_an_id(corpus):
    """The error lists who speaks, with their messages, and nothing is kept."""
    with pytest.raises(SpeakerNotFoundError, match=r"'user' \(3\), 'assistant' \(3\)") as caught:
        corpus.add(exports.chatgpt())
    assert caught.value.speakers == {"user": 3, "assistant": 3}
    assert "--user" in caught.value.cli_hint
    assert corpus.users() == []
    assert corpus.add(exports.chatgpt(), person="user").kept == 3
    assert [user.user_id for user in corpus.users()] == ["user"]


def test_a_person_who_does_not_speak_is_an_error_in_any_chat(corpus):
    """An unknown name is told apart from a quiet conversation."""
    with pytest.raises(SpeakerNotFoundError, match="'zoe'"):
        corpus.add(exports.chatgpt(), person="zoe", user_id="mira")
    chats = [
        {"messages": [{"role": "user", "name": "ann", "content": "Hi"}]},
        {"messages": [{"role": "user", "name": "bo", "content": "Ho"}]},
    ]
    with pytest.raises(SpeakerNotFoundError, match="'zoe'"):
        corpus.add(chats, person="zoe")
    report = corpus.add(chats, person="ann")
    assert report.kept == 1
    assert report.left_out == {"conversations in which the person does not speak": 1}


def test_the_assistant_can_be_the_person(corpus):
    """Its turns are the actions then."""
    corpus.add(exports.chatgpt(), person="assistant", user_id="bot")
    assert ("Shorter, please.", "Short.") in said(corpus)


def test_claude_follows_its_branch(corpus, tmp_path):
    """Blocks of thinking and tools, attachments and empty turns are counted."""
    report = corpus.add(write(tmp_path / "conversations.json", exports.claude()), user_id="mira")
    assert report.format == "claude"
    assert said(corpus) == [(OPENING, "Rye or wheat?"), ("Rye keeps longer.", "Rye it is.")]
    assert report.left_out == {
        "turns of other branches": 1, "media": 1, "thinking turns": 1, "tool turns": 1,
        "empty turns": 1,
    }  # fmt: skip


@pytest.mark.parametrize("large", [False, True])
def test_an_export_is_read_out_of_its_zip(corpus, tmp_path, monkeypatch, large):
    """Without unpacking it; other files are counted, and several parts are one export."""
    if large:
        monkeypatch.setattr("usersim.corpus.readers.sources.MOST_DOCUMENT", 10)
    first, second = exports.chatgpt()
    path = exports.zipped(
        tmp_path / "export.zip",
        {
            "conversations-000.json": json.dumps([first]),
            "conversations-001.json": json.dumps([second]),
            "chat.html": "<html>",
            "user.json": "{}",
        },
    )
    report = corpus.add(path, user_id="mira")
    assert (report.format, report.kept) == ("chatgpt", 3)
    assert report.left_out["other files"] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["export.zip"]
    document = write(tmp_path / "conversations.json", [first, second])
    assert corpus.add(document, user_id="mira").already_present == 3


def test_a_cut_off_export_is_an_error_that_names_the_file(corpus, tmp_path):
    """Half a document cannot be told from a whole one otherwise."""
    text = json.dumps(exports.chatgpt())
    path = exports.zipped(tmp_path / "export.zip", {"conversations.json": text[: len(text) // 2]})
    with pytest.raises(CorpusFormatError, match=r"conversations\.json.*cut off"):
        corpus.add(path, user_id="mira")


# WhatsApp -------------------------------------------------------------------------------------


def test_whatsapp_on_android(corpus, tmp_path):
    """12-hour clock, several lines, captions, media, deletions, edits, system lines with colons."""
    report = corpus.add(
        write(tmp_path / "WhatsApp Chat with Bo.txt", exports.ANDROID), person="Mira"
    )
    assert report.format == "whatsapp"
    assert said(corpus) == [
        (OPENING, "Coming at eight?\nOr nine:\nwhatever suits"),
        ("The crust!", "Happy new year"),
        (OPENING, "slept well?"),
    ]
    assert report.left_out == {"system lines": 2, "media": 1, "deleted messages": 1}
    times = [item.timestamp for item in corpus.interactions()]
    assert times == ["2023-12-31T18:05:00", "2023-12-31T23:59:00", "2024-01-01T09:31:00"]
    conversations = {item.conversation for item in corpus.interactions()}
    assert len(conversations) == 2


def test_whatsapp_on_an_iphone(corpus, tmp_path):
    """Brackets, seconds, day before month, marks of direction, names that begin with a tilde."""
    path = exports.zipped(
        tmp_path / "WhatsApp Chat.zip", {"_chat.txt": exports.IPHONE, "1.jpg": b"x"}
    )
    report = corpus.add(path, person="bo müller", user_id="bo")
    assert said(corpus) == [("schön!", "seht mal")]
    assert report.left_out == {"other files": 1, "system lines": 1, "media": 1}
    assert [m.name for m in next(corpus.interactions()).context] == ["Mira"]


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("31.12.23, 18:05 - Mira: x", "2023-12-31T18:05:00"),
        ("31/12/2023 18:05 - Mira: x", "2023-12-31T18:05:00"),
        ("31/12/2023 à 18:05 - Mira: x", "2023-12-31T18:05:00"),
        ("31-12-2023 18:05 - Mira: x", "2023-12-31T18:05:00"),
        ("2023-12-31, 6:05 p. m. - Mira: x", "2023-12-31T18:05:00"),
        ("2023/12/31 下午6:05 - Mira: x", "2023-12-31T18:05:00"),
        ("2023. 12. 31. 오후 6:05 - Mira: x", "2023-12-31T18:05:00"),
        ("31.12.2023 klo 18.05 - Mira: x", "2023-12-31T18:05:00"),
        ("[31/12/23, 6:05:09 PM] Mira: x", "2023-12-31T18:05:09"),
        ("[31/12/23, 6:05:09\u202fp.m.] Mira: x", "2023-12-31T18:05:09"),
        ("[12/31/23, 12:05:09 AM] Mira: x", "2023-12-31T00:05:09"),
        ("[2023-12-31, 18:05:09] Mira: x", "2023-12-31T18:05:09"),
        ("\u200f[٣١/١٢/٢٠٢٣، ٦:٠٥:٠٩ م] Mira: x", "2023-12-31T18:05:09"),
    ],
)
def test_whatsapps_dates_of_many_languages(corpus, tmp_path, line, time):
    """Order, separators, clocks and digits of several locales give the same moment."""
    path = write(tmp_path / "chat.txt", f"{line}\n{line.replace(': x', ': y')}\n")
    report = corpus.add(path, person="Mira")
    assert [item.timestamp for item in corpus.interactions()] == [time] * 2
    assert (report.kept, report.notes) == (2, ())


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (["01/02/24", "03/02/24", "01/03/24"], "2024-02-01"),
        (["01/02/24", "01/03/24", "02/01/24"], "2024-01-02"),
    ],
    ids=["day first", "month first"],
)
def test_whatsapps_order_is_the_one_in_which_time_runs_forward(corpus, tmp_path, days, first):
    """Where no number is above twelve, the sequence of the dates decides."""
    text = "".join(f"{day}, 18:05 - Mira: {n}\n" for n, day in enumerate(days))
    report = corpus.add(write(tmp_path / "chat.txt", text), person="Mira")
    assert next(corpus.interactions()).timestamp.startswith(first)
    assert report.notes == ()


def test_an_order_that_nothing_settles_is_noted_and_can_be_named(corpus, tmp_path):
    """A guess is never silent, and `date_order=` replaces it."""
    path = write(tmp_path / "chat.txt", "01/02/24, 18:05 - Mira: x\n")
    (note,) = corpus.add(path, person="Mira").notes
    assert "day before month" in note
    assert corpus.add(path, person="Mira", date_order="mdy").notes == ()
    times = {item.timestamp[:10] for item in corpus.interactions()}
    assert times == {"2024-02-01", "2024-01-02"}


def test_a_name_or_a_person_is_found_or_listed(corpus, tmp_path):
    """Missing and unknown persons end in the list of speakers, most messages first."""
    path = write(tmp_path / "chat.txt", exports.ANDROID)
    for how in ({}, {"user_id": "zoe"}, {"person": "zoe"}):
        with pytest.raises(SpeakerNotFoundError) as caught:
            corpus.add(path, **how)
        assert caught.value.speakers == {"Mira": 3, "Bo": 3}
        assert "'Mira' (3)" in str(caught.value)
    assert corpus.add(path, user_id="Mira").kept == 3


# Telegram, Discord, Slack ---------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_telegram_reads_texts_and_entities(corpus, tmp_path, packed):
    """Service lines, photos and forwarded words are no actions; a caption is a context."""
    path = write(tmp_path / "result.json", exports.telegram())
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    report = corpus.add(path, person="Mira")
    assert report.format == "telegram"
    assert said(corpus) == [("Tea?", "see https://tea.example!"), ("an old joke", "Yes.")]
    assert report.left_out == {
        "system lines": 1, "media": 1, "messages of the person in others' words": 1,
    }  # fmt: skip
    assert [m.content for m in list(corpus.interactions())[1].context][1:3] == [
        "see https://tea.example!",
        "the crust",
    ]


def test_telegrams_whole_account_is_read_chat_by_chat(corpus, tmp_path):
    """What was said in one chat is no context in another."""
    path = write(tmp_path / "result.json", exports.telegram_account())
    report = corpus.add(path, person="user4", user_id="mira")
    assert report.kept == 3
    chats = [item.conversation.partition("/")[0] for item in corpus.interactions()]
    assert sorted(chats) == ["telegram-7", "telegram-7", "telegram-8"]
    ann = next(item for item in corpus.interactions() if item.conversation.startswith("telegram-8"))
    assert [message.content for message in ann.context] == ["Tea?"]


def test_speakers_of_one_name_are_told_apart_by_their_id(corpus, tmp_path):
    """A name that two people share is an error that shows the ids."""
    chat = exports.telegram()
    chat["messages"].append({**chat["messages"][1], "id": 9, "from_id": "user99"})
    path = write(tmp_path / "result.json", chat)
    with pytest.raises(SpeakerNotFoundError, match="several") as caught:
        corpus.add(path, person="Bo")
    assert caught.value.speakers == {"Mira": 3, "Bo (user2)": 2, "Bo (user99)": 1}
    assert corpus.add(path, person="user99").kept == 1


def test_discord_reads_a_channel_or_a_folder_of_channels(corpus, tmp_path):
    """Joins and pictures are counted; a nickname, a name or an id is the person."""
    folder = tmp_path / "server"
    folder.mkdir()
    write(folder / "kettle.json", exports.discord())
    other = exports.discord()
    other["channel"] = {"id": "3", "name": "pot"}
    write(folder / "pot.json", other)
    report = corpus.add(folder, person="mira")
    assert (report.format, report.kept) == ("discord", 2)
    assert report.left_out == {"system lines": 2, "media": 2}
    assert said(corpus)[0] == ("who has the kettle?", "me")
    assert corpus.add(folder / "pot.json", person="Bo", user_id="bo").kept == 1


@pytest.mark.parametrize("packed", [False, True])
def test_slack_reads_a_folder_or_a_zip(corpus, tmp_path, packed):
    """Names for ids, threads over days, direct messages, files, joins and bots."""
    path = exports.slack(tmp_path / "export")
    if packed:
        files = {f.relative_to(path).as_posix(): f.read_bytes() for f in path.rglob("*.json")}
        path = exports.zipped(tmp_path / "export.zip", files)
    report = corpus.add(path, person="mira", user_id="mira")
    assert (report.format, report.kept) == ("slack", 4)
    assert report.left_out == {"system lines": 1, "media": 1, "other files": 1}
    by_action = {item.action: item for item in corpus.interactions()}
    assert by_action["gladly"].context[-1].content == "Tea & cake, @Mira?"
    assert [m.content for m in by_action["still gladly"].context] == [
        "Tea & cake, @Mira?",
        "gladly",
    ]
    assert by_action["see this (https://tea.example)"].context[-1].name == "Bo B"
    assert by_action["psst"].conversation.startswith("D7/")


# Mail -----------------------------------------------------------------------------------------


def test_a_mailbox_gives_own_words_and_what_they_answer(corpus, tmp_path):
    """Quotes, signatures and automatic replies are no words of the person."""
    report = corpus.add(write(tmp_path / "sent.mbox", exports.MBOX), person="mira@x.example")
    assert report.format == "mbox"
    assert said(corpus) == [
        ("Tea at four?\n\nBo", "Yes, gladly.\nFrom the big pot, please."),
        ("Which cake?", "With cherries."),
        ("(A new mail. Subject: Walk)", "Shall we walk?"),
    ]
    assert report.left_out == {"automatic mails": 1, "quoted lines": 3}
    first = next(corpus.interactions())
    assert (first.user_id, first.conversation, first.timestamp) == (
        "Mira M.", "<1@x>", "2024-05-01T11:00:00+00:00",
    )  # fmt: skip


def test_the_mailbox_module_agrees_on_what_a_mail_is(tmp_path):
    """Python's own reader finds as many mails in the same file."""
    from usersim.corpus.readers.archive import file_of
    from usersim.corpus.readers.mail import _messages

    path = write(tmp_path / "sent.mbox", exports.MBOX)
    with closing(mailbox.mbox(path)) as box:
        assert len(list(_messages(file_of(path)))) == len(box) == 5


# Data sets ------------------------------------------------------------------------------------


def test_oasst_trees_and_messages_give_the_same_prompts(corpus):
    """Each prompt has the path that leads to it; authors keep their ids."""
    report = corpus.add([exports.oasst_tree()])
    assert (report.format, report.kept) == ("oasst", 3)
    assert report.left_out == {"assistant turns": 1}
    assert [user.user_id for user in corpus.users()] == ["ann", "cy"]
    flat, waiting = [], [(exports.oasst_tree()["prompt"], None)]
    while waiting:
        node, parent = waiting.pop()
        replies = node.pop("replies")
        flat.append({**node, "parent_id": parent, "message_tree_id": "t1"})
        waiting += [(reply, node["message_id"]) for reply in replies]
    assert corpus.add(flat).already_present == 3
    assert corpus.add(flat, person="cy", user_id="c").kept == 1
    with pytest.raises(SpeakerNotFoundError, match="'zoe'"):
        corpus.add(flat, person="zoe")
    orphan = corpus.add([row for row in flat if row["message_id"] != "r1"])
    assert {refused.field for refused in orphan.refused} == {"parent_id"}


def test_hh_and_lmsys_rows_give_the_human_side(corpus):
    """The chosen chat is read; whose it is must be said."""
    hh = {"chosen": "\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Tea: how?\n\nAssistant: Hot.",
          "rejected": "\n\nHuman: Hi\n\nAssistant: No."}  # fmt: skip
    assert corpus.add([hh], user_id="crowd").left_out == {"rejected answers": 1}
    assert said(corpus) == [(OPENING, "Hi"), ("Yes?", "Tea: how?")]
    lmsys = {"conversation_id": "l1", "model": "m", "conversation": [
        {"role": "user", "content": "Hey"}, {"role": "assistant", "content": "Hello"}]}  # fmt: skip
    report = corpus.add([lmsys], user_id="crowd")
    assert (report.format, report.kept) == ("lmsys", 1)
    with pytest.raises(SpeakerNotFoundError):
        corpus.add([lmsys])


def test_an_arena_row_is_a_vote(corpus):
    """A choice between the two answers, by the judge."""

    def talk(answer: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": answer}]

    row = {"question_id": "q", "model_a": "m", "model_b": "n", "winner": "model_b", "judge": "j1",
           "conversation_a": talk("Yes."), "conversation_b": talk("Gladly.")}  # fmt: skip
    corpus.add([row, {**row, "winner": "nobody"}])
    (item,) = corpus.interactions()
    assert (item.user_id, item.action, item.space.kind) == ("j1", "Answer B", "choice")
    assert "Gladly." in item.context[-1].content


# Chats of any kind ----------------------------------------------------------------------------


def test_silence_ends_a_conversation_and_old_messages_leave_the_context(tmp_path):
    """Both are settings of the corpus."""
    lines = [f"01.05.24, {h:02}:00 - {'Mira' if h % 2 else 'Bo'}: {h}\n" for h in range(8)]
    path = write(tmp_path / "chat.txt", "".join(lines))
    config = CorpusConfig(chat_gap_hours=0.5, chat_context_messages=2)
    with Corpus.open(":memory:", config=config) as apart, Corpus.open(":memory:") as whole:
        apart.add(path, person="Mira")
        whole.add(path, person="Mira")
        assert {item.context[0].content for item in apart.interactions()} == {OPENING}
        assert len({item.conversation for item in whole.interactions()}) == 1
    with Corpus.open(":memory:", config=CorpusConfig(chat_context_messages=2)) as short:
        short.add(path, person="Mira")
        assert [len(item.context) for item in short.interactions()] == [1, 2, 2, 2]


def test_a_chat_that_grew_adds_only_what_is_new(corpus, tmp_path):
    """The export of next month holds this month's, and nothing of it is added again."""
    lines = exports.ANDROID.splitlines(keepends=True)
    corpus.add(write(tmp_path / "chat.txt", "".join(lines[:4])), person="Mira")
    report = corpus.add(write(tmp_path / "chat.txt", exports.ANDROID), person="Mira")
    assert (report.kept, report.already_present) == (2, 1)


def test_an_export_under_another_name_is_the_same_chat(corpus, tmp_path):
    """The name of a file says nothing about what was said."""
    corpus.add(write(tmp_path / "chat.txt", exports.ANDROID), person="Mira")
    again = exports.zipped(tmp_path / "new.zip", {"_chat.txt": exports.ANDROID})
    assert corpus.add(again, person="Mira").already_present == 3


def test_several_chats_in_a_folder_do_not_run_into_each_other(corpus, tmp_path):
    """What was said in one file is no context in the next; parts are read by their number."""
    for part, text in (("2", "ho"), ("10", "hey"), ("1", "hi")):
        write(tmp_path / f"part {part}.txt", f"{part}.05.24, 10:00 - Bo: {text}\n"
              f"{part}.05.24, 10:01 - Mira: {text}!\n")  # fmt: skip
    corpus.add(tmp_path, person="Mira")
    assert said(corpus) == [("hi", "hi!"), ("ho", "ho!"), ("hey", "hey!")]
    assert {len(item.context) for item in corpus.interactions()} == {1}


def test_another_speaker_of_the_persons_id_is_not_the_person(corpus, tmp_path):
    """A name that equals the id under which the person is stored is marked."""
    text = "01.05.24, 10:00 - mira: hi\n01.05.24, 10:01 - Mira B: ho\n"
    corpus.add(write(tmp_path / "chat.txt", text), person="Mira B", user_id="mira")
    (item,) = corpus.interactions()
    assert item.context[0].name == "mira (another)"


# Archives -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "C:/evil.txt"]
)
def test_an_archive_that_leads_out_of_itself_is_refused(corpus, tmp_path, name):
    """A path outside the archive is named and nothing is read."""
    path = exports.zipped(tmp_path / "x.zip", {name: "x"})
    with pytest.raises(CorpusFormatError, match="unsafe path"):
        corpus.add(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(corpus, tmp_path, monkeypatch):
    """By its declared ratio, by what is read, and by the number of its files."""
    bomb = exports.zipped(tmp_path / "bomb.zip", {"chat.txt": b"\x20" * (20 << 20)})
    with pytest.raises(CorpusFormatError, match="more than 200 times"):
        corpus.add(bomb)
    chat = exports.zipped(tmp_path / "chat.zip", {"chat.txt": exports.ANDROID, "b": "b", "c": "c"})
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    with pytest.raises(CorpusFormatError, match="more than 2 files"):
        corpus.add(chat)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 9)
    monkeypatch.setattr(archives, "MOST_BYTES", 10)
    with pytest.raises(CorpusFormatError, match="unpacks to more than 10 bytes"):
        corpus.add(chat, person="Mira")


def test_an_archive_that_lies_about_its_sizes_is_refused(corpus, tmp_path):
    """A file that is larger than declared fails its check; nothing is read beyond it."""
    path = exports.zipped(tmp_path / "x.zip", {"chat.txt": exports.ANDROID * 50})
    data = bytearray(path.read_bytes())
    size = len(exports.ANDROID.encode()) * 50
    for _ in range(2):
        place = data.find(size.to_bytes(4, "little"))
        data[place : place + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(CorpusFormatError):
        corpus.add(path, person="Mira")


def test_encrypted_damaged_and_foreign_archives_are_told_apart(corpus, tmp_path):
    """Each error says what the archive is and what to do."""
    path = exports.zipped(tmp_path / "x.zip", {"chat.txt": "x"})
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + place] |= 1
    path.write_bytes(data)
    with pytest.raises(CorpusFormatError, match="encrypted"):
        corpus.add(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CorpusFormatError, match="zip archive"):
        corpus.add(path)
    with pytest.raises(CorpusFormatError, match="Excel workbook"):
        corpus.add(exports.zipped(tmp_path / "t.xlsx", {"[Content_Types].xml": "<x/>"}))
    with pytest.raises(CorpusFormatError, match="no supported export"):
        corpus.add(exports.zipped(tmp_path / "y.zip", {"readme.md": "hello"}))
    both = {"a.txt": exports.ANDROID, "b.mbox": exports.MBOX}
    mixed = exports.zipped(tmp_path / "z.zip", both)
    with pytest.raises(CorpusFormatError, match="several kinds"):
        corpus.add(mixed, person="Mira")
    assert corpus.add(mixed, person="Mira", format="whatsapp").kept == 3


def test_links_in_a_folder_or_an_archive_are_not_followed(corpus, tmp_path):
    """They may lead anywhere; the chat beside them is read."""
    secret = write(tmp_path / "secret.txt", exports.ANDROID.replace("Mira", "Zoe"))
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "chat.txt", exports.ANDROID)
    (folder / "link.txt").symlink_to(secret)
    assert corpus.add(folder, person="Mira").left_out["links"] == 1
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("chat.txt", exports.ANDROID)
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(secret))
    assert corpus.add(tmp_path / "x.zip", person="Mira").left_out["links"] == 1
    assert {user.user_id for user in corpus.users()} == {"Mira"}


def test_a_table_in_a_zip_is_read(corpus, tmp_path):
    """Survey platforms hand out a CSV in a zip archive."""
    path = exports.zipped(tmp_path / "t.zip", {"t.csv": "user_id,question,answer\na,Tea?,yes\n"})
    assert corpus.add(path).kept == 1


def test_nothing_is_kept_in_memory_of_a_long_chat(tmp_path):
    """Pieces are made one at a time: taking one of many reads no more than its buffers."""
    from usersim.corpus.readers.archive import Member
    from usersim.corpus.readers.messengers import telegram_pieces

    chat = exports.telegram()
    chat["messages"] = chat["messages"] * 20_000
    data = json.dumps(chat).encode()
    files: list[io.BytesIO] = []

    def opened() -> io.BytesIO:
        files.append(io.BytesIO(data))
        return files[-1]

    pieces = telegram_pieces(Member("result.json", opened))
    for _ in range(100):
        next(pieces)
    assert files[-1].tell() < len(data) / 10
