"""How long `import usersim` takes, against the import of two of its dependencies.

Alternating fresh interpreters, medians; the start of the interpreter itself is in both figures.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 15
TARGET = 1.3
OURS = "import usersim"
REFERENCE = "import pydantic, sqlalchemy"


def seconds(code: str) -> float:
    """Return the wall-clock seconds that a fresh interpreter takes for `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians, their ratio and the target."""
    for code in (OURS, REFERENCE):
        seconds(code)  # once unmeasured: byte code is compiled, files are in the page cache
    rounds = [(seconds(OURS), seconds(REFERENCE)) for _ in range(ROUNDS)]
    ours, reference = (median(column) for column in zip(*rounds, strict=True))
    print(f"{OURS:30} {ours * 1e3:7.1f} ms")
    print(f"{REFERENCE:30} {reference * 1e3:7.1f} ms")
    print(f"ratio {ours / reference:.2f} (target: at most {TARGET})")


if __name__ == "__main__":
    main()
