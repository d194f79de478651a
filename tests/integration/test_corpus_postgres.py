"""The store on a real PostgreSQL server: the same corpus, the same answers."""

import pytest

from usersim.corpus import Corpus, Response
from usersim.errors import CorpusError
from usersim.types import Candidate, Question

pytestmark = pytest.mark.postgres


def rows(user, count=10):
    """Rows of one user, in time order, with text that only one store would mind."""
    return [
        {
            "user_id": user,
            "order": i,
            "timestamp": f"2025-01-{i + 1:02d}",
            "context": f"Tea\x00 number {i}, 'quoted' %s {{}} 🫖?",
            "action": f"{user} {i}",
            "conversation_id": f"talk {i // 2}",
            "metadata": {"i": i},
        }
        for i in range(count)
    ]


def test_postgres_and_sqlite_hold_the_same_corpus(postgres):
    """Equal digests, interactions and splits; loading again adds nothing; forgetting works."""
    with Corpus.open(postgres) as corpus, Corpus.open(":memory:") as local:
        for store in (corpus, local):
            report = store.add([*rows("ada"), *rows("bob", 4), *rows("bob", 1)])
            assert (report.kept, report.merged) == (14, 1)
            assert store.add(rows("ada")).already_present == 10
        assert corpus.digest() == local.digest()
        assert list(corpus.interactions()) == list(local.interactions())
        item = next(corpus.interactions(["ada"]))
        assert corpus.interaction(item.key[:12]) == item
        (found,) = corpus.search("ada", Question.of("number 3 & ' | !"), before=6, limit=1)
        assert found.position == 3
        state = corpus.fits.state()
        assert corpus.fits.put("panel", "k", state=state, data=b"\x00\xff")
        assert corpus.fits.get("panel", "k", state=state) == b"\x00\xff"
        drawn = Candidate(
            interaction_key=item.key,
            direction="forward",
            draw=0,
            reasoning="r",
            complete=True,
            model="m",
            prompt_id="p",
            seed=1,
        )
        corpus.ledger.put_candidates("s", [drawn, drawn])
        assert corpus.ledger.candidates("s", [item.key]) == {item.key: [drawn]}
        assert corpus.ledger.find_trace(drawn.key[:10])[0].candidate == drawn
        answer = Response(user_id="ada", question_key="q", record={"a": 1})
        corpus.ledger.put_responses([answer])
        removal = corpus.forget("ada")
        assert (removal.interactions, removal.candidates, removal.responses) == (10, 1, 1)
    with Corpus.open(postgres) as again:
        assert [user.user_id for user in again.users()] == ["bob"]


def test_a_server_that_does_not_answer_is_a_clear_error(tmp_path):
    """Without the password of the URL."""
    with pytest.raises(CorpusError, match="does not answer") as caught:
        Corpus.open(f"postgresql://ada:secret@/x?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_pages_of_people_and_interactions_are_those_of_sqlite(postgres):
    """Paged by key, both stores show everybody once, and find what was done in a context."""
    with Corpus.open(postgres) as corpus, Corpus.open(":memory:") as local:
        for store in (corpus, local):
            store.add([row for name in ("ada", "bob_1", "cy") for row in rows(name, 5)])
            first = store.browse.people(limit=2)
            rest = store.browse.people(after=first.after, limit=2)
            seen = [(one.user_id, one.interactions) for one in (*first.items, *rest.items)]
            assert seen == [("ada", 5), ("bob_1", 5), ("cy", 5)]
            assert store.browse.people(before=rest.before, limit=9).items == first.items
            found = store.browse.people(search="B_").items
            assert [one.user_id for one in found] == ["bob_1"]
            page = store.browse.interactions("cy", after=1, limit=2)
            assert [one.position for one in page.items] == [2, 3]
            one = page.items[0]
            assert store.browse.acts_in("cy", one.context) == [one]
            assert store.browse.answers_to("cy", one.context) == []
            assert store.browse.counts().interactions == 15
