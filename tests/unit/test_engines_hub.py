"""A wrong model name is one error in seconds; what is on the machine needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub", reason="the extra `local` is not installed")

import httpx2
import huggingface_hub
from huggingface_hub.errors import RepositoryNotFoundError

from usersim.engines import hub
from usersim.engines.hub import check_model, local_first
from usersim.errors import ModelLoadError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that the hub is asked for; it has `owner/known` and often cannot be reached."""
    names: list[str] = []

    def model_info(_: object, name: str, *, timeout: float) -> None:
        names.append(name)
        assert timeout <= 5
        if name == "owner/known":
            return
        request = httpx2.Request("GET", "https://hub")
        if name == "owner/unknown":
            raise RepositoryNotFoundError("404", response=httpx2.Response(404, request=request))
        raise httpx2.ConnectError("no network", request=request)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no/such/folder", "no such folder"),
        ("./model", "no such folder"),
        ("~/nowhere-at-all", "no such folder"),
        ("what a name!", "no such folder"),
        ("../x", "no such folder"),
    ],
)
def test_what_looks_like_a_path_is_looked_for_on_this_machine_alone(
    name: str, message: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is not asked for a folder that does not exist."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # whatever lies beside the project
    with pytest.raises(ModelLoadError, match=message) as caught:
        check_model(name)
    assert repr(name) in str(caught.value)
    assert "OWNER/NAME" in caught.value.cli_hint
    assert asked == []


def test_a_file_is_no_model_folder(tmp_path: Path, asked: list[str]) -> None:
    """A file of weights by itself is not looked for on the hub."""
    file = tmp_path / "model.gguf"
    file.touch()
    with pytest.raises(ModelLoadError, match="is a file"):
        check_model(str(file))
    check_model(tmp_path)
    assert asked == []


def test_the_hub_is_asked_once(asked: list[str]) -> None:
    """What the hub has passes; what it lacks, or a hub out of reach, is an error."""
    check_model("owner/known")
    with pytest.raises(ModelLoadError, match="has no such model"):
        check_model("owner/unknown")
    with pytest.raises(ModelLoadError, match=r"cannot be reached.*no network") as caught:
        check_model("owner/elsewhere")
    assert "hf download owner/elsewhere" in caught.value.hint
    assert asked == ["owner/known", "owner/unknown", "owner/elsewhere"]


def test_what_the_cache_holds_is_loaded_without_a_network(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache comes first; the hub is asked only for what it lacks."""
    monkeypatch.setattr(hub, "_cached", lambda _: True)
    check_model("owner/elsewhere")
    assert local_first("owner/elsewhere", lambda **how: how) == {"local_files_only": True}
    assert asked == []

    def lacking(**how: bool) -> str:
        if how.get("local_files_only"):
            raise OSError("not in the cache")
        return "loaded"

    assert local_first("owner/known", lacking) == "loaded"
    with pytest.raises(ModelLoadError, match="cannot be reached"):
        local_first("owner/elsewhere", lacking)


def test_a_folder_is_loaded_as_it_is(tmp_path: Path, asked: list[str]) -> None:
    """A folder needs neither cache nor hub, and its loader's own error comes through."""

    def broken(**_: bool) -> None:
        raise OSError("no config.json")

    assert local_first(tmp_path, lambda **how: how) == {}
    with pytest.raises(OSError, match=r"no config\.json"):
        local_first(tmp_path, broken)
    assert asked == []
