"""Delimited text: encoding, delimiter and records by the csv module's own rules."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usersim.delimited import BrokenRecord, Dialect, read_records, recognize


def read(data: bytes, **how: str) -> list[list[str] | BrokenRecord]:
    """Recognize and read a whole file."""
    dialect = recognize(data, **how)
    assert dialect is not None
    return list(read_records(io.BytesIO(data), dialect))


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"id,tea\n1,yes\n", ","),
        (b"id;tea\n1;yes\n", ";"),
        (b"id\ttea\n1\tyes\n", "\t"),
        (b"id|tea\n1|yes\n", "|"),
        (b'id;"tea, coffee, or milk?"\n1;yes\n', ";"),
        (b'id,"a;b;c;d",tea\n1,x,yes\n', ","),
        (b'id;"How, old\nare, you?";tea\n1;34;yes\n', ";"),
        (b"name;says\nada;one, two, three\nbo;one, two\n", ";"),
        (b"id,tea\n", ","),
    ],
)
def test_the_delimiter_is_what_cuts_records_alike(data: bytes, delimiter: str) -> None:
    """Marks inside quotes do not count, and even records beat a wide header."""
    found = recognize(data)
    assert found is not None
    assert found.delimiter == delimiter


@pytest.mark.parametrize(
    "data", [b"", b"one column\n1\n2\n", b"Dear all, hello\nno table here\nbye\n"]
)
def test_what_no_delimiter_cuts_is_no_table(data: bytes) -> None:
    """Prose and single columns are not recognized."""
    assert recognize(data) is None


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_excels_first_line_names_the_delimiter(line: str) -> None:
    """`sep=;` wins over any guess and is no record."""
    assert read(f"{line}\r\na,b;c\r\n1,2;3\r\n".encode()) == [["a,b", "c"], ["1,2", "3"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_text(encoding: str) -> None:
    """UTF-8 with and without its mark, and Excel's "Unicode text", give the same cells."""
    assert read("id\tname\n1\tZoë\n".encode(encoding)) == [["id", "name"], ["1", "Zoë"]]


def test_a_broken_wide_encoding_marks_the_place() -> None:
    """Bytes that are no UTF-16 become U+FFFD; the cells around them stay."""
    data = "id\tname\n1\t".encode("utf-16") + b"\x00\xd8" + "x\n".encode("utf-16-le")
    assert read(data)[1] == ["1", "\ufffdx"]


def test_an_older_encoding_is_read_when_it_is_named() -> None:
    """Without a name a record of foreign bytes is broken alone, and the reason says what to do."""
    data = "id,name\n1,Zoë\n2,Ada\n".encode("cp1252")
    header, broken, whole = read(data)
    assert isinstance(broken, BrokenRecord)
    assert "byte 0xeb" in broken.reason
    assert "cp1252" in broken.reason
    assert (header, whole) == (["id", "name"], ["2", "Ada"])
    assert read(data, encoding="cp1252")[1] == ["1", "Zoë"]
    with pytest.raises(LookupError):
        recognize(data, encoding="klingon")


def test_lines_may_end_in_every_way_at_once() -> None:
    """LF, CRLF and CR end records; U+2028 and a line break in quotes do not."""
    data = 'a,b\r\n1,"x\ny"\n2,one\u2028two\r3,z'.encode()
    assert read(data) == [["a", "b"], ["1", "x\ny"], ["2", "one\u2028two"], ["3", "z"]]


def test_a_quote_that_is_never_closed_costs_its_own_line() -> None:
    """The lines after it are read again; those that do not fit the header are broken too."""
    header, broken, *rest = read(b'id,tea\n1,"yes\n2,no\n3\n4,yes\n')
    assert header == ["id", "tea"]
    assert isinstance(broken, BrokenRecord)
    assert (broken.text, "never closed" in broken.reason) == ('1,"yes\n', True)
    assert [rest[0], rest[2]] == [["2", "no"], ["4", "yes"]]
    assert isinstance(rest[1], BrokenRecord)


def test_many_unclosed_quotes_end() -> None:
    """Every line is in some record, and reading does not take the square of their number."""
    lines = [f'{number},"x\n' for number in range(501)]
    found = read(("id,tea\n" + "".join(lines)).encode())[1:]
    broken = [one.text for one in found if isinstance(one, BrokenRecord)]
    kept = [cell for one in found if not isinstance(one, BrokenRecord) for cell in one]
    assert "".join([*broken, *kept]).count("x") == len(lines)


def test_text_behind_a_closing_quote_breaks_one_record() -> None:
    """It is neither joined nor dropped."""
    _, broken, whole = read(b'id,tea\n1,"yes" please\n2,no\n')
    assert isinstance(broken, BrokenRecord)
    assert broken.text == '1,"yes" please\n'
    assert whole == ["2", "no"]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=6),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read_back(
    rows: list[list[str]], delimiter: str, end: str
) -> None:
    """Any text in any cell survives, with every delimiter."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])
    dialect = Dialect(delimiter)
    data = out.getvalue().encode("utf-8")
    assert list(read_records(io.BytesIO(data), dialect)) == [["a", "b", "c"], *rows]
    assert recognize(data) == dialect
