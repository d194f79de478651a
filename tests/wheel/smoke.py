"""Try the installed wheel, from an empty folder, with no extra installed.

Run by `make wheel-test` with the interpreter of a fresh environment, in isolated mode, so that
nothing of the working tree can stand in for what the wheel lacks. It uses the standard library
and the wheel alone: no pytest, no extras.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

HEAVY = ("torch", "transformers", "sqlalchemy", "pandas", "pydantic", "numpy")
ABSENT = ("torch", "transformers", "pandas", "pyarrow", "matplotlib", "pytest")
ROWS = [
    {"user_id": "ada", "order": 0, "context": [{"content": "Tea or coffee?"}], "action": "Tea."},
    {"user_id": "ada", "order": 1, "context": [{"content": "And milk?"}], "action": "No, thanks."},
    {"user_id": "bob", "order": 0, "context": [{"content": "Tea or coffee?"}], "action": "Water."},
]


def check_environment() -> None:
    """The environment holds the core alone, and `usersim` comes from it."""
    present = [name for name in ABSENT if importlib.util.find_spec(name)]
    assert not present, f"not a bare environment: {present}"
    assert list(Path.cwd().iterdir()) == [], "the folder is not empty"


def check_import() -> None:
    """Importing loads no library, and the version is the distribution's."""
    import usersim

    loaded = [name for name in HEAVY if name in sys.modules]
    assert not loaded, f"import usersim loaded {loaded}"
    assert usersim.__version__ == version("usersim-recon")
    assert Path(usersim.__file__).is_relative_to(sys.prefix), usersim.__file__


def check_contents(wheel: Path) -> None:
    """The wheel holds what is not Python, and nothing that belongs to the repository alone."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "usersim/py.typed",
        "usersim/corpus/store/migrations/",
        "usersim/prompts/templates/",
        "usersim/explorer/templates/base.html",
        "usersim/explorer/static/explore.css",
    ):
        assert any(name.startswith(needed) for name in names), f"{needed} is not in the wheel"
    assert any(name.endswith(".jinja") for name in names), "no template is in the wheel"
    assert any(name.endswith("licenses/LICENSE") for name in names), "no license is in the wheel"
    strays = [name for name in names if not name.startswith(("usersim/", "usersim_recon-"))]
    assert not strays, f"strays in the wheel: {strays}"


def check_corpus() -> None:
    """A corpus is loaded, listed, and loaded again without doubling."""
    from usersim import Corpus

    rows = Path("rows.jsonl")
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    with Corpus.open("corpus.db") as corpus:
        assert corpus.add(rows).kept == len(ROWS)
        assert corpus.add(rows).kept == 0
        users = {user.user_id: user.interactions for user in corpus.users()}
    assert users == {"ada": 2, "bob": 1}, users


def check_prediction() -> None:
    """A closed question is answered from the panel, and the pool's weights are fitted."""
    from usersim import UserSimulator

    options = ["1", "2", "3", "4"]
    rows = [
        {
            "user_id": f"person {person:02}",
            "context": f"How much do you like {question}?",
            "action": options[(person + person % 3 * place) % len(options)],
            "options": options,
            "action_type": "scale",
        }
        for person in range(40)
        for place, question in enumerate(("tea", "rain", "trains", "chess", "snow"))
    ]
    with UserSimulator.from_corpus(rows, user_id="person 01", engine="scripted") as sim:
        answer = sim.respond("How much do you like rain?", options=options, kind="scale")
        shares = {one.predictor for one in answer.trace.predictors}
        assert "panel" in shares, shares
        fitted = sim.calibrate(progress=False)
        assert str(fitted), "calibrate says nothing"


def check_missing_extra() -> None:
    """What needs an extra says which command installs it."""
    from usersim import Corpus
    from usersim.errors import MissingDependencyError

    columns = Path("rows.parquet")
    columns.write_bytes(b"PAR1" + bytes(16) + b"PAR1")
    hint = ""
    try:
        with Corpus.open("corpus.db") as corpus:
            corpus.add(columns)
    except MissingDependencyError as error:
        hint = error.hint
    assert 'pip install "usersim-recon[parquet]"' in hint, f"hint: {hint!r}"


def check_command() -> None:
    """The command is installed and says how it is used."""
    command = Path(sys.executable).with_name("usersim")
    shown = subprocess.run([command, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "Usage" in shown.stdout, shown.stdout


def main() -> None:
    """Run every check, in this order: the import must come before what loads libraries."""
    check_environment()
    check_import()
    check_contents(Path(sys.argv[1]))
    check_corpus()
    check_prediction()
    check_missing_extra()
    check_command()
    print(f"usersim-recon {version('usersim-recon')}: the wheel works alone")


if __name__ == "__main__":
    main()
