"""The notebooks run from first cell to last: as programs on a tiny model, and as they are."""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
_SPEC = importlib.util.spec_from_file_location("execute_notebooks", FOLDER / "execute.py")
assert _SPEC is not None
assert _SPEC.loader is not None
execute = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(execute)
BRIEFLY = f"""
import sys
sys.path.insert(0, {str(FOLDER.parents[1])!r})
from tests.fixtures.brief import install
install()
"""
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_the_cells_run_on_the_tiny_model(
    path: Path,
    without_model: Callable[[], None],
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cells are one program that reaches its end and prints, whatever the model says."""
    import nbformat

    cells = [one for one in nbformat.read(path, as_version=4).cells if one.cell_type == "code"]
    without_model()
    monkeypatch.setattr(tempfile, "tempdir", str(workplace))
    names: dict[str, object] = {"__name__": "notebook"}
    for number, cell in enumerate(cells):
        exec(compile(cell.source, f"{path.name}, cell {number}", "exec"), names)
    assert len(cells) >= 5
    assert capsys.readouterr().out


@pytest.mark.model
@pytest.mark.slow
@each_notebook
@pytest.mark.usefixtures("embedded_model")
def test_a_notebook_runs_and_its_last_cell_says_something(path: Path, tmp_path: Path) -> None:
    """With the embedded model every cell runs in a kernel of its own, and the end has output."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BRIEFLY))
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert cells[-1].outputs


@each_notebook
def test_a_notebook_is_stored_with_the_outputs_of_its_code(path: Path) -> None:
    """Whoever reads it on a web page sees what it prints, and that of this code."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert cells[-1].outputs
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]
    stamp = notebook.metadata["usersim"]["outputs_of"]
    assert stamp == execute.digest(notebook), "run: python examples/notebooks/execute.py"


@each_notebook
def test_stored_outputs_say_nothing_of_the_machine(path: Path) -> None:
    """No path, no warning and no time of whoever ran it last."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(?:tmp|home|Users|root|work|var)/", text)
    assert '"name": "stderr"' not in text
    assert "iopub" not in text
