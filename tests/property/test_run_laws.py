"""Laws of runs: however clients interleave, stall and die, every item has exactly one result."""

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from usersim.corpus import Corpus, Response
from usersim.corpus.runs.runs import Runs
from usersim.types import Failure

ROWS = [
    {"user_id": user, "context": f"{user} {i}?", "action": "Yes."}
    for user in "ab"
    for i in range(5)
]
CLIENTS = st.sampled_from(["one", "two"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), CLIENTS, st.integers(1, 4)),
        st.tuples(st.just("finish"), CLIENTS, st.booleans()),
        st.tuples(st.just("extend"), CLIENTS, st.none()),
        st.tuples(st.just("release"), CLIENTS, st.none()),
        st.tuples(st.just("kill"), CLIENTS, st.none()),
        st.tuples(st.just("wait"), st.none(), st.integers(1, 12)),
    ),
    max_size=40,
)
SECONDS = 10.0


class Client:
    """A client: an owner, new after each kill, and what it believes to hold."""

    def __init__(self, runs: Runs, run: int, name: str) -> None:
        self.runs, self.run, self.name = runs, run, name
        self.lives = count()
        self.stored: list[int] = []
        self.start()

    def start(self) -> None:
        """Begin a life: a new owner that holds nothing."""
        self.owner = f"{self.name}:{next(self.lives)}"
        self.held: list[int] = []

    def do(self, step: str, value) -> None:
        """Take one step; a kill begins a new life that knows of no claim."""
        if step == "claim":
            self.claim(value)
        elif step == "finish":
            self.finish(value)
        elif step == "extend":
            self.runs.extend(self.run, self.owner, seconds=SECONDS)
        elif step == "release":
            self.runs.release(self.run, self.owner)
        else:
            self.start()

    def claim(self, limit: int) -> None:
        """Claim some items."""
        items = self.runs.claim(self.run, self.owner, limit=limit, seconds=SECONDS)
        self.held += [item.place for item in items]

    def finish(self, well: bool) -> None:
        """Store a result for everything held, whether or not the claims still count."""
        answer = Response(user_id="a", question_key="q", record={"by": self.owner})
        done = {
            place: answer
            if well
            else Failure(index=place, item="a", error="E", message=self.owner, text="")
            for place in self.held
        }
        self.stored.append(self.runs.finish(self.run, self.owner, done))
        self.held = []


@settings(max_examples=60)
@given(STEPS)
def test_every_item_has_exactly_one_result(steps):
    """Claims, results, extensions, kills and lapses of two clients in any order."""
    now = [0.0]
    with Corpus.open(":memory:") as corpus:
        corpus.add(ROWS)
        runs = Runs(corpus._database, clock=lambda: now[0])
        run = runs.begin("r", "f", {}).id
        runs.fill(run, corpus.requests(ROWS).lines())
        clients = {name: Client(runs, run, name) for name in ("one", "two")}
        for step, name, value in steps:
            if name is None:
                now[0] += value
            else:
                clients[name].do(step, value)
            status = runs.status(run)
            assert status.total == len(ROWS)
            assert status.done + status.failed == sum(sum(c.stored) for c in clients.values())
        now[0] += 2 * SECONDS  # every claim of the dead has run out
        last = Client(runs, run, "last")
        while runs.status(run).left:
            last.do("claim", 3)
            last.do("finish", True)
        answers = [row.item.place for row in runs.answers(run)]
        failures = [row.item.place for row in runs.failures(run)]
        assert sorted(answers + failures) == list(range(len(ROWS)))
        assert answers == sorted(answers)
        assert len(list(corpus.ledger.responses(run_id=run))) == len(answers)
