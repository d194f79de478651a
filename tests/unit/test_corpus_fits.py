"""What is fitted over everybody: kept for the rows it was fitted to, gone with anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from usersim.corpus import Corpus


def rows(*people: str) -> list[dict[str, object]]:
    """Return two interactions of each person."""
    return [
        {"user_id": person, "order": n, "context": f"Tea {n}?", "action": "Yes."}
        for person in people
        for n in range(2)
    ]


@pytest.fixture
def corpus(tmp_path: Path):
    """Return a store of two people."""
    with Corpus.open(tmp_path / "s.db") as opened:
        opened.add(rows("ada", "bob"))
        yield opened


def test_the_state_changes_with_the_rows(corpus: Corpus) -> None:
    """Adding and forgetting change it; reading, and adding the same again, do not."""
    states = [corpus.fits.state()]
    corpus.add(rows("ada", "bob"))
    list(corpus.interactions())
    assert corpus.fits.state() == states[-1]
    corpus.add(rows("carl"))
    states.append(corpus.fits.state())
    corpus.forget("ada")
    states.append(corpus.fits.state())
    corpus.add(rows("ada"))
    states.append(corpus.fits.state())
    assert len(set(states)) == len(states)


def test_a_fit_is_kept_for_its_rows(corpus: Corpus) -> None:
    """It is found again under its key and state, and not for other rows."""
    state = corpus.fits.state()
    assert corpus.fits.put("panel", "k", state=state, data=b"one")
    assert corpus.fits.put("panel", "k", state=state, data=b"two")
    assert corpus.fits.get("panel", "k", state=state) == b"two"
    assert corpus.fits.get("pool", "k", state=state) is None
    corpus.add(rows("carl"))
    assert corpus.fits.get("panel", "k", state=corpus.fits.state()) is None
    assert corpus.fits.get("panel", "k") == b"two"


def test_forgetting_anybody_deletes_every_fit(corpus: Corpus, tmp_path: Path) -> None:
    """Everybody is in a fit; its bytes leave the file with the person, and that is counted."""
    marker = b"only-in-the-fit-of-ada"
    assert corpus.fits.put("panel", "k", state=corpus.fits.state(), data=marker)
    assert corpus.forget("ada").fits == 1
    assert corpus.fits.get("panel", "k") is None
    corpus.close()
    assert all(marker not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


def test_what_was_fitted_to_somebody_forgotten_meanwhile_is_not_kept(corpus: Corpus) -> None:
    """A fit that was under way while somebody was forgotten does not come back."""
    before = corpus.fits.state()
    corpus.forget("ada")
    assert not corpus.fits.put("panel", "k", state=before, data=b"with ada")
    assert corpus.fits.get("panel", "k") is None
