"""Adapter folders: named by content, refused where damaged, foreign or unsafe."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.tiny import MakeAdapter, make_model
from usersim.engines.adapters import adapter_ref, check_adapter
from usersim.engines.base import AdapterRef, GenerateRequest
from usersim.engines.identity import model_digest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.errors import AdapterLoadError


@pytest.fixture
def copy(tiny_adapter_ref: AdapterRef, tmp_path: Path) -> Path:
    """A copy of an adapter folder that a test may damage."""
    return Path(shutil.copytree(tiny_adapter_ref.path, tmp_path / "ada"))


@pytest.fixture(scope="module")
def tiny_adapter_ref(tiny_adapter: MakeAdapter) -> AdapterRef:
    """One good adapter of the tiny model."""
    return tiny_adapter("ada")


def test_the_name_holds_the_digest(tiny_adapter_ref: AdapterRef, copy: Path) -> None:
    """A copy elsewhere has the same digest and name; the base model is read from the folder."""
    assert tiny_adapter_ref.name == f"ada-{tiny_adapter_ref.digest[:12]}"
    again = adapter_ref(copy)
    assert (again.digest, again.name) == (tiny_adapter_ref.digest, tiny_adapter_ref.name)
    assert again.base_model == tiny_adapter_ref.base_model != ""


def test_other_weights_have_another_name(
    tiny_adapter: MakeAdapter, tiny_adapter_ref: AdapterRef
) -> None:
    """The same folder name with other weights is another adapter."""
    assert tiny_adapter("ada", seed=5).name != tiny_adapter_ref.name


def test_a_good_adapter_passes(tiny_adapter_ref: AdapterRef, tiny_model: Path) -> None:
    """What was made for the base model fits it; a hub name is left to the loader."""
    check_adapter(tiny_adapter_ref, tiny_model)
    check_adapter(tiny_adapter_ref, "some-vendor/some-model")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder without a configuration is no adapter."""
    with pytest.raises(AdapterLoadError, match=r"nobody' is not an adapter folder"):
        adapter_ref(tmp_path / "nobody")


def test_a_broken_configuration_is_named(copy: Path) -> None:
    """A configuration that is not PEFT's is refused with its path."""
    (copy / "adapter_config.json").write_text('{"r": "many"}', encoding="utf-8")
    with pytest.raises(AdapterLoadError, match=r"adapter_config.json' is not a PEFT"):
        adapter_ref(copy)


def test_another_kind_of_adapter_is_refused(copy: Path) -> None:
    """Only LoRA can be applied per request."""
    _edit(copy, peft_type="PREFIX_TUNING")
    with pytest.raises(AdapterLoadError, match="'PREFIX_TUNING'"):
        adapter_ref(copy)


def test_pickled_weights_are_never_opened(copy: Path) -> None:
    """A folder whose weights are a pickle is refused by name alone."""
    (copy / "adapter_model.safetensors").rename(copy / "adapter_model.bin")
    with pytest.raises(AdapterLoadError, match="is a pickle, which can run code"):
        adapter_ref(copy)


def test_missing_weights_are_named(copy: Path) -> None:
    """A folder without weights is incomplete."""
    (copy / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterLoadError, match=r"has no 'adapter_model\.safetensors'"):
        adapter_ref(copy)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_noticed(copy: Path, kept: int) -> None:
    """Weights cut anywhere, in the header or behind it, are damaged."""
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(AdapterLoadError, match=r"reading .*adapter_model.safetensors' failed"):
        adapter_ref(copy)


def test_empty_weights_are_refused(copy: Path) -> None:
    """A well-formed file without a tensor is no adapter."""
    from safetensors.numpy import save_file

    save_file({}, copy / "adapter_model.safetensors")
    with pytest.raises(AdapterLoadError, match="holds no weights"):
        adapter_ref(copy)


def test_altered_weights_are_noticed(copy: Path, tiny_model: Path) -> None:
    """One changed bit between naming and loading is an error that shows both digests."""
    ref = adapter_ref(copy)
    weights = copy / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(AdapterLoadError, match=f"was altered.*expected {ref.digest[:12]!r}"):
        check_adapter(ref, tiny_model)


def test_a_wrong_rank_is_refused(copy: Path, tiny_model: Path) -> None:
    """Weights whose rank is not the configuration's do not fit."""
    _edit(copy, r=3)
    with pytest.raises(AdapterLoadError, match="do not have rank 3"):
        check_adapter(adapter_ref(copy), tiny_model)


def test_another_base_model_is_refused(tiny_adapter_ref: AdapterRef, tmp_path: Path) -> None:
    """Shapes that are not the model's are named with both numbers."""
    other = make_model(tmp_path / "other", width=48)
    with pytest.raises(AdapterLoadError, match=r"takes 64 and gives 32 .*'s 96 and 48"):
        check_adapter(tiny_adapter_ref, other)


def test_a_base_of_equal_shape_is_refused(
    tiny_adapter_ref: AdapterRef, tiny_model: Path, tmp_path: Path
) -> None:
    """Another model whose shapes fit is told by its digest; a client's tokenizer copy is not."""
    known = replace(tiny_adapter_ref, base_digest=model_digest(tiny_model))
    check_adapter(known, tiny_model)
    twin = make_model(tmp_path / "twin", seed=1)
    check_adapter(tiny_adapter_ref, twin)  # a plain PEFT folder does not say
    with pytest.raises(AdapterLoadError, match="was trained on a different model than") as caught:
        check_adapter(known, twin)
    assert repr(known.name) in str(caught.value)
    check_adapter(known, twin, same_model=False)
    with pytest.raises(AdapterLoadError, match="was trained on a different model than"):
        TransformersEngine(twin).generate(
            [GenerateRequest(prompt=(("user", "Tea?"),), max_tokens=1, adapter=known)]
        )


def test_a_base_without_the_modules_is_refused(
    tiny_adapter_ref: AdapterRef, tmp_path: Path
) -> None:
    """A model that has none of the adapter's modules is another model."""
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"other.weight": np.zeros((2, 2))}, tmp_path / "model.safetensors")
    with pytest.raises(AdapterLoadError, match="does not have its modules"):
        check_adapter(replace(tiny_adapter_ref, base_model="tiny"), tmp_path)


def _edit(folder: Path, **fields: object) -> None:
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | fields), encoding="utf-8")
