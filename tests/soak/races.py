"""Several processes load, run, read, forget and add again at once, on one store."""

from __future__ import annotations

import json
from pathlib import Path

from tests.soak.attack import Field, check_people, check_store
from usersim import Corpus

WORK = """
import sys
from tests.soak.races import rush
rush(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
"""
PEOPLE = ("ada", "bob", "cy", "dee")


def rush(store: str, seed: int, seconds: float) -> None:
    """Do whatever comes to mind with a store until the time is up; runs in a child."""
    import random
    import time
    from collections import Counter

    from tests.fixtures.runs import simulator
    from tests.soak.attack import rows_of
    from usersim.errors import UsersimError

    rng = random.Random(seed)
    done: Counter[str] = Counter()

    def step(corpus: Corpus) -> str:
        user = rng.choice(PEOPLE)
        kind = rng.choice(("load", "load", "forget", "read", "digest", "run"))
        if kind == "load":
            corpus.add([row for one in PEOPLE for row in rows_of(one, 40)]
                       if rng.random() < 0.3 else rows_of(user, rng.randint(5, 120)))  # fmt: skip
        elif kind == "forget":
            corpus.forget(user)
        elif kind == "read":
            check_people(corpus, None if rng.random() < 0.5 else [user])
        elif kind == "digest":
            corpus.digest()
        else:
            with simulator(store) as sim:
                sim.run([(user, f"Asked {rng.random()}?")], name=f"r{seed}-{rng.random()}")
        return kind

    until = time.monotonic() + seconds
    with Corpus.open(store) as corpus:
        while time.monotonic() < until:
            try:
                done[step(corpus)] += 1
            except UsersimError as error:
                done[type(error).__name__] += 1
    print(json.dumps(done))


def race(field: Field, store: str) -> None:
    """Let several processes at a store, and look at what is left."""
    with Corpus.open(store):
        pass
    seconds = field.rng.uniform(1.0, 3.0)
    many = [
        field.children.start(WORK, store, field.rng.randrange(1 << 30), seconds)
        for _ in range(field.rng.randint(2, 4))
    ]
    for child in many:
        out, said = child.communicate()
        assert child.returncode == 0, said[-3_000:]
        for name, count in json.loads(out).items():
            field.tally[f"steps in races: {name}"] += count
    with Corpus.open(store) as corpus:
        check_people(corpus)
        names = {one.user_id for one in corpus.users()}
        assert names <= set(PEOPLE)
        for user in names:
            corpus.forget(user)
        assert check_people(corpus) == 0


def once(field: Field) -> None:
    """One race on SQLite or PostgreSQL."""
    if field.postgres is not None and field.rng.random() < 0.5:
        race(field, field.postgres())
        field.tally["races on PostgreSQL"] += 1
        return
    path = Path(field.folder) / "a.db"
    race(field, str(path))
    check_store(path)
    field.tally["races on SQLite"] += 1
