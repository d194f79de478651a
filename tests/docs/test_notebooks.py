"""The notebooks run from first cell to last: as programs on a tiny model, and as they are."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))
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
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert cells[-1].outputs


@each_notebook
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    """What stands in the repository is code alone: outputs age, and may hold a person's words."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
