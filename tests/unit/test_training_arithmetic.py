"""The arithmetic of the frozen base model: asked for, or measured once per machine and model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from usersim.engines.loading import load_model
from usersim.training import arithmetic
from usersim.training.arithmetic import load_base
from usersim.training.manifest import Arithmetic


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the cache to an empty folder, and hide a GPU."""
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return tmp_path


def timed(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    """Let the measurement take these seconds; return what is measured."""
    measured: list[str] = []

    def take(model: torch.nn.Module, _: object) -> float:
        kind = str(model.dtype).removeprefix("torch.")  # type: ignore[arg-type]
        measured.append(kind)
        return seconds[kind]

    monkeypatch.setattr(arithmetic, "_seconds", take)
    return measured


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_an_arithmetic_that_is_asked_for_is_not_measured(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    """The configuration decides, whatever would be faster."""
    measured = timed(monkeypatch)
    model, found = load_base(tiny_model, "digest", kind)
    assert str(model.dtype) == f"torch.{kind}"
    assert found == Arithmetic(dtype=kind, chosen="asked")
    assert measured == []


@pytest.mark.parametrize(("bfloat16", "chosen"), [(0.1, "bfloat16"), (0.19, "float32")])
def test_the_faster_one_is_taken_and_remembered(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, bfloat16: float, chosen: str
):
    """Both are measured once; bfloat16 has to be clearly faster; another model is measured anew."""
    measured = timed(monkeypatch, float32=0.2, bfloat16=bfloat16)
    model, found = load_base(tiny_model, "digest", "auto")
    assert str(model.dtype) == f"torch.{chosen}"
    assert found == Arithmetic(
        dtype=chosen, chosen="measured", float32_ms=200.0, bfloat16_ms=1000 * bfloat16
    )
    assert measured == ["float32", "bfloat16"]
    again, same = load_base(tiny_model, "digest", "auto")
    assert (again.dtype, same, len(measured)) == (model.dtype, found, 2)
    load_base(tiny_model, "another digest", "auto")
    assert len(measured) == 4


def test_a_damaged_or_unwritable_cache_is_measured_again(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
):
    """What is remembered is a convenience: without it the training begins all the same."""
    measured = timed(monkeypatch, float32=0.2, bfloat16=0.1)
    load_base(tiny_model, "digest", "auto")
    (file,) = (cache / "arithmetic").iterdir()
    file.write_text("{", encoding="utf-8")
    load_base(tiny_model, "digest", "auto")
    assert len(measured) == 4
    monkeypatch.setenv("USERSIM_CACHE", str(file))
    _, found = load_base(tiny_model, "digest", "auto")
    assert (found.dtype, len(measured)) == ("bfloat16", 6)


def test_the_measurement_runs_one_layer_and_leaves_the_model_as_it_was(tiny_model: Path):
    """A real measurement gives both figures, and not a weight or a layer is another."""
    model = load_model(tiny_model, dtype="float32", device="cpu")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = arithmetic._measured(model)
    assert found.float32_ms
    assert found.bfloat16_ms
    assert len(arithmetic._one_layer(model).model.layers) == 1
    assert len(model.model.layers) == 2
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not hasattr(model, "peft_config")
