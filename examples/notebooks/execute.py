"""Run the notebooks and store what they print: `python examples/notebooks/execute.py [NAME ...]`.

Each is run from its first cell to its last in an empty folder, with the embedded model. Execution
times are left out, and so is the folder's path: two runs on two machines differ in figures only.
"""

# pyright: basic

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
SECONDS = 3600
"""Longest time of one cell: trainings on a busy machine."""
STAMP = "usersim"
"""Where the metadata say which code the outputs are of."""


def digest(notebook: Any) -> str:
    """Return a digest of the code cells."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def execute(path: Path) -> None:
    """Run a notebook and store it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := _clean(output)) is not None]
    notebook.metadata[STAMP] = {"outputs_of": digest(notebook)}
    nbformat.write(notebook, path)


def _clean(output: Any) -> Any:
    """Return an output without paths of this machine; None for what went to standard error."""
    if output.get("name") == "stderr":
        return None
    return nbformat.from_dict(json.loads(_without_paths(json.dumps(output))))


def _without_paths(text: str) -> str:
    return re.sub(r"/(?:tmp|var|home|Users|private)/(?:[\w.-]+/)*", "", text)


if __name__ == "__main__":
    names = sys.argv[1:] or [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]
    for name in names:
        print(name, flush=True)
        execute(FOLDER / f"{name}.ipynb")
