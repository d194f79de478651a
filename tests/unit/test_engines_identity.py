"""One model has one digest, wherever it lies and however it was prepared; damage is found."""

from __future__ import annotations

import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from usersim.cli.app import app
from usersim.engines import identity
from usersim.engines.cache import remove_damaged, verify_cache
from usersim.engines.identity import former_digests, is_model, model_digest, texts_digest
from usersim.engines.prepared import MANIFEST, prepare_folder, read_manifest

SETTINGS = {"backend": "tokenizers", "bos_token": "<s>", "local_files_only": True}


def write(folder: Path, **changed: object) -> None:
    """Fill a folder as a small model; `changed` replaces a file's content by its stem."""
    files: dict[str, object] = {
        "config.json": {"hidden_size": 8, "transformers_version": "5.19.0", "dtype": "float32"},
        "generation_config.json": {"eos_token_id": 2, "_from_model_config": True},
        "tokenizer_config.json": SETTINGS,
        "tokenizer.json": {"model": {}},
        "chat_template.jinja": "{{ messages }}",
        "model.safetensors": "weights",
        **changed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=2)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model's folder."""
    write(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "changed",
    [
        {"tokenizer_config.json": {**SETTINGS, "local_files_only": False}},
        {"tokenizer_config.json": {"bos_token": "<s>"}},
        {"tokenizer_config.json": dict(reversed(SETTINGS.items()))},
        {
            "config.json": {
                "_name_or_path": "/home/ada/m", "transformers_version": "6", "hidden_size": 8,
            }
        },
        {"generation_config.json": {"eos_token_id": 2}},
        {"README.md": "a page", "pytorch_model.bin": "the same weights once more"},
    ],
)  # fmt: skip
def test_how_a_model_was_prepared_does_not_change_its_digest(
    model: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    """With or without a network, by which version, under which name, with which page beside it."""
    write(tmp_path / "other", **changed)
    os.utime(tmp_path / "other" / "model.safetensors", ns=(1, 1))
    assert model_digest(tmp_path / "other") == model_digest(model)
    assert texts_digest(tmp_path / "other") == texts_digest(model)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("model.safetensors", "Weights", False),
        ("config.json", {"hidden_size": 9}, False),
        ("tokenizer.json", {"model": {"a": 1}}, True),
        ("tokenizer_config.json", {"bos_token": "<t>"}, True),
        ("generation_config.json", {"eos_token_id": 3}, True),
        ("chat_template.jinja", "{{ message }}", True),
    ],
)
def test_whatever_computes_changes_the_digest(
    model: Path, name: str, content: object, texts: bool
) -> None:
    """Weights of equal length, settings, tokens, the end of an answer, the template."""
    before, before_texts = model_digest(model), texts_digest(model)
    write(model, **{name: content})
    assert model_digest(model) != before
    assert (texts_digest(model) != before_texts) == texts


def test_a_prepared_folder_has_the_digest_of_a_plain_one(tmp_path: Path, model: Path) -> None:
    """The manifest saves reading the weights, and changes nothing."""
    folder = prepare_folder(tmp_path / "models" / "m", write, source="test:1")
    assert model_digest(folder) == model_digest(model)


def test_digests_of_former_versions_still_name_the_model(tmp_path: Path) -> None:
    """Adapters carry digests of all files, as written with a network or without one."""
    for offline in (True, False):
        text = json.dumps({**SETTINGS, "local_files_only": offline}, indent=2, sort_keys=True)
        settings = {"tokenizer_config.json": f"{text}\n"}
        folder = prepare_folder(
            tmp_path / f"{offline}", lambda to, s=settings: write(to, **s), source="test:1"
        )
        manifest = read_manifest(folder)
        assert manifest is not None
        files = sorted((name, file.sha256) for name, file in manifest.files.items())
        former = sha256(json.dumps(files).encode()).hexdigest()
        for one in (tmp_path / "True", tmp_path / "False"):
            if one.exists():
                assert former in former_digests(one)
                assert is_model(one, former)
    assert is_model(folder, model_digest(folder))
    assert not is_model(folder, "0" * 64)
    assert former_digests("some-vendor/some-model") == ()


def test_a_plain_folders_former_digest_held_times(model: Path) -> None:
    """It is known as long as the folder stays where it is."""
    (former,) = former_digests(model)
    assert is_model(model, former)
    os.utime(model / "model.safetensors", ns=(1, 1))
    assert not is_model(model, former)


# ---------------------------------------------------------------------- the cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; digests of the smallest files are kept too."""
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(identity, "_WORTH_KEEPING", 0)
    return tmp_path / "cache"


def flip(path: Path) -> None:
    """Flip a byte and set the modification time back."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_kept_digest_saves_reading_and_follows_the_file(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are read once, and again when size or time changed, or when the note is damaged."""
    read: list[Path] = []
    digest = identity.file_digest
    monkeypatch.setattr(identity, "file_digest", lambda path: (read.append(path), digest(path))[1])
    first = model_digest(model)
    assert model_digest(model) == first
    assert len(read) == 1
    (model / "model.safetensors").write_text("other weights", encoding="utf-8")
    assert model_digest(model) != first
    (note,) = (cache / "digests").iterdir()
    note.write_text("{", encoding="utf-8")
    model_digest(model)
    assert len(read) == 3


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is the same."""
    monkeypatch.setattr(identity, "_WORTH_KEEPING", 0)
    wanted = model_digest(model)
    (tmp_path / "file").touch()
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path / "file"))
    assert model_digest(model) == wanted


def test_flipped_bytes_under_an_unchanged_time_are_found_and_repaired(
    cache: Path, model: Path
) -> None:
    """In a prepared model and in a folder whose digest is kept; a repair lets both be read anew."""
    prepared = prepare_folder(cache / "models" / "m", write, source="test:1")
    own = model_digest(model)
    assert [one.problem for one in verify_cache()] == ["", ""]
    flip(prepared / "model.safetensors")
    flip(model / "model.safetensors")
    assert model_digest(model) == own, "opening looks at size and time alone"
    found = verify_cache()
    assert [one.path for one in found] == [prepared, model / "model.safetensors"]
    assert all("altered" in one.problem for one in found)
    for one in found:
        remove_damaged(one)
    assert not (prepared / MANIFEST).exists()
    assert model_digest(model) != own
    prepare_folder(prepared, write, source="test:1")
    assert [one.problem for one in verify_cache()] == ["", ""]


def test_the_command_tells_what_is_damaged_and_repairs_it(cache: Path, model: Path) -> None:
    """Status 1 while something is damaged, 0 after the repair and for an empty cache."""
    command = ["cache", "verify"]
    assert CliRunner().invoke(app, command).exit_code == 0
    model_digest(model)
    flip(model / "model.safetensors")
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 1
    assert "1 checked, 1 damaged" in found.stdout
    assert "model.safetensors was altered" in found.stdout
    assert CliRunner().invoke(app, [*command, "--repair"]).exit_code == 0
    assert CliRunner().invoke(app, command).exit_code == 0


def test_what_is_gone_or_written_anew_is_no_damage(cache: Path, model: Path) -> None:
    """A folder that was removed, and one whose weights were replaced."""
    model_digest(model)
    (model / "model.safetensors").write_text("other weights", encoding="utf-8")
    assert verify_cache() == []
    shutil.rmtree(model)
    assert verify_cache() == []
