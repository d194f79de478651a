"""`make soak`: every attack in turn until the time is up, then what was tried and what held.

SOAK_MINUTES (default 60) says how long, SOAK_SEED repeats a case, SOAK_ONLY names one attack.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from tests.fixtures.children import LIGHT, Nursery
from tests.fixtures.postgres import BINARIES, database, server
from tests.soak import disks, files, kills, pages, power, races, requests, stores, talks
from tests.soak.attack import Attack, Field

ATTACKS: dict[str, Attack] = {
    module.__name__.rpartition(".")[2]: module.once
    for module in (files, stores, kills, races, disks, power, requests, talks, pages)
}
MOST_FAILURES = 40


@contextmanager
def postgres() -> Iterator[Path | None]:
    """A PostgreSQL server where one can be started."""
    if not BINARIES:
        yield None
        return
    with server() as folder:
        yield folder


def case(attack: Attack, seed: int, tally: Counter[str], nursery: Nursery, at: Path | None) -> bool:
    """Make one case; tell whether everything held."""
    folder = Path(tempfile.mkdtemp(prefix="usersim-soak-"))
    field = Field(
        random.Random(seed), folder, nursery, None if at is None else lambda: database(at), tally
    )
    try:
        attack(field)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding
        traceback.print_exc()
        return False
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)
    return True


def main() -> int:
    """Attack; return 1 if something did not hold."""
    minutes = float(os.environ.get("SOAK_MINUTES", "60"))
    only = os.environ.get("SOAK_ONLY", "")
    given = os.environ.get("SOAK_SEED")
    chosen = {name: one for name, one in ATTACKS.items() if only in ("", name)}
    if not chosen:
        print(f"SOAK_ONLY={only!r} is none of {', '.join(ATTACKS)}")
        return 2
    first = int(given) if given is not None else time.time_ns() % 1_000_000_000
    spent = dict.fromkeys(chosen, 0.0)
    cases: Counter[str] = Counter()
    failed: list[str] = []
    tally: Counter[str] = Counter()
    nursery = Nursery(LIGHT)
    with postgres() if "races" in chosen else nullcontext() as at:
        until = time.monotonic() + 60 * minutes
        number = 0
        while (time.monotonic() < until or not number) and len(failed) < MOST_FAILURES:
            name = min(spent, key=lambda one: spent[one])
            seed, number = first + number, number + 1
            started = time.monotonic()
            held = case(chosen[name], seed, tally, nursery, at)
            spent[name] += time.monotonic() - started
            cases[name] += 1
            print(f"{name} {seed} {'held' if held else 'failed'}", flush=True)
            if not held:
                failed.append(f"SOAK_ONLY={name} SOAK_SEED={seed} SOAK_MINUTES=0.01 make soak")
                print(f"FAILED, again with: {failed[-1]}", flush=True)
    nursery.close()
    _report(first, cases, spent, tally, failed)
    return 1 if failed else 0


def _report(
    first: int, cases: Counter[str], spent: dict[str, float], tally: Counter[str], failed: list[str]
) -> None:
    print(f"\nsoak: seeds from {first}")
    for name, count in sorted(cases.items()):
        print(f"  {name:<10}{count:>7} cases {spent[name] / 60:>7.1f} min")
    for name, count in sorted(tally.items()):
        print(f"  {count:>9}  {name}")
    print(f"{len(failed)} of {sum(cases.values())} cases failed")
    for line in failed:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
