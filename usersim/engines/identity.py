"""What distinguishes models: a digest of what computes.

Weights, tokens, template and settings enter; where a folder lies, when it was written and how it
was prepared do not, so one model has one digest on every machine. Reading all weights takes a
while for a large model, so their digests are kept in the cache, by place, size and modification
time; `usersim cache verify` reads everything again. Knows files; knows no model.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ConfigDict, ValidationError

from usersim.config import cache_dir
from usersim.engines.prepared import read_manifest
from usersim.errors import ModelLoadError, boundary
from usersim.files import file_digest, write_text

__all__ = [
    "KeptDigest",
    "former_digests",
    "is_model",
    "kept_digests",
    "model_digest",
    "texts_digest",
]

TEXT_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""Files that turn texts into tokens, and say where an answer ends."""

_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
"""Endings of files of weights. Those of the first kind that is there count: the others hold the
same weights once more."""
_PREPARATION = frozenset({
    "_commit_hash",
    "_from_model_config",
    "_model_name_or_path",
    "_name_or_path",
    "backend",
    "cache_dir",
    "dtype",
    "force_download",
    "is_local",
    "local_files_only",
    "name_or_path",
    "proxies",
    "resume_download",
    "revision",
    "subfolder",
    "token",
    "tokenizer_file",
    "torch_dtype",
    "transformers_version",
    "use_auth_token",
    "use_cache",
    "vocab_file",
})  # fmt: skip
"""Fields of a model's JSON files that say where it came from or how it was loaded and saved. The
arithmetic is chosen by whoever loads it, and is part of an engine's own identity."""


_WORTH_KEEPING = 64 << 20
"""Bytes of a file whose digest is kept; a smaller one is read again in a tenth of a second."""


class KeptDigest(BaseModel):
    """The digest of one file, as it was when it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size: int
    mtime_ns: int
    sha256: str


def model_digest(folder: str | Path) -> str:
    """Return a digest that identifies a model.

    - A folder: its weights, its tokens and template, and the settings that computing depends on.
    - A hub name: the name and, where the model is in the local hub cache, its revision.

    Args:
        folder: What `usersim.engines.embedded.model_folder` returned.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        ModelLoadError: If a file cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        return sha256(f"{folder}@{_cached_revision(str(folder))}".encode()).hexdigest()
    total = sha256()
    with boundary(ModelLoadError, f"reading the model in {str(folder)!r}"):
        for name in ("config.json", *TEXT_FILES):
            total.update(_text_fact(path / name))
        for digest in _weights(path):
            total.update(f"weights={digest}\n".encode())
    return total.hexdigest()


def texts_digest(folder: str | Path) -> str:
    """Return a digest of what turns a model's texts into tokens, equal on every machine.

    Two clients of one server have copies of their own, whose weights are never read.

    Args:
        folder: Model folder or hub name; a name's digest is that of `model_digest`.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        ModelLoadError: If a file cannot be read.
    """
    path = Path(folder)
    if not path.is_dir():
        return model_digest(folder)
    total = sha256()
    with boundary(ModelLoadError, f"reading the tokenizer in {str(folder)!r}"):
        for name in TEXT_FILES:
            total.update(_text_fact(path / name))
    return total.hexdigest()


def is_model(folder: str | Path, digest: str) -> bool:
    """Tell whether a stored digest is one of this model, by today's rule or by an earlier one.

    Args:
        folder: What `usersim.engines.embedded.model_folder` returned.
        digest: As an adapter's manifest holds it.
    """
    return digest == model_digest(folder) or digest in former_digests(folder)


def _text_fact(file: Path) -> bytes:
    """Return name and digest of a text file; of JSON only the fields that compute."""
    if not file.is_file():
        return b""
    content = file.read_bytes()
    # A tokenizer's own file holds nothing of its preparation, and is long.
    if file.suffix == ".json" and file.name != "tokenizer.json":
        content = _plain(content)
    return f"{file.name}={sha256(content).hexdigest()}\n".encode()


def _plain(content: bytes) -> bytes:
    """Return JSON without the fields of `_PREPARATION`, in one form; other content as it is."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if isinstance(data, dict):
        told = cast("dict[str, object]", data)
        data = {name: value for name, value in told.items() if name not in _PREPARATION}
    return json.dumps(data, sort_keys=True).encode()


# ---------------------------------------------------------------------- weights


def _weights(folder: Path) -> Iterator[str]:
    """Yield the digests of a folder's files of weights, by name."""
    manifest = read_manifest(folder)
    known = {} if manifest is None else manifest.files
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    found = ([path for path in files if path.suffix == ending] for ending in _WEIGHTS)
    for file in next(filter(None, found), ()):
        yield known[file.name].sha256 if file.name in known else _kept(file)


def _kept(file: Path) -> str:
    """Return a file's digest, from the cache if it was read before and has not changed since."""
    path, stat = file.resolve(), file.stat()
    if stat.st_size < _WORTH_KEEPING:
        return file_digest(file)
    note = cache_dir() / "digests" / f"{sha256(str(path).encode()).hexdigest()[:32]}.json"
    known = _read_kept(note)
    if known is not None and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known.sha256
    digest = file_digest(file)
    fresh = KeptDigest(path=str(path), size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=digest)
    _keep(note, fresh)
    return digest


def _keep(note: Path, fresh: KeptDigest) -> None:
    """Note a digest; where the cache cannot be written, the file is read again next time."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_text(note, fresh.model_dump_json(), what="a digest", error=ModelLoadError)
    except (OSError, ModelLoadError):
        return


def _read_kept(note: Path) -> KeptDigest | None:
    """Return a kept digest; None if there is none that can be read."""
    try:
        return KeptDigest.model_validate_json(note.read_bytes())
    except (OSError, ValidationError):
        return None


def kept_digests() -> Iterator[tuple[Path, KeptDigest | None]]:
    """Yield every note of a digest in the cache, and what it says; None if it is damaged."""
    for note in sorted((cache_dir() / "digests").glob("*.json")):
        yield note, _read_kept(note)


# ---------------------------------------------------------------------- names and former rules


def _cached_revision(name: str) -> str:
    """Return the commit of a hub model in the local cache; empty if unknown."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return ""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return ""  # not a hub name; the loader will say so with the better message
    return Path(found).parent.name if isinstance(found, str) else ""


def former_digests(folder: str | Path) -> tuple[str, ...]:
    """Return the digests that earlier versions of usersim gave this model.

    Until 0.1 a prepared folder's digest was one of all its files, as they were written with or
    without a network, and another folder's held modification times. Adapters carry such digests.

    Args:
        folder: What `usersim.engines.embedded.model_folder` returned.
    """
    path = Path(folder)
    if not path.is_dir():
        return ()
    manifest = read_manifest(path)
    if manifest is None:
        return (_former_of_files(path),)
    files = {name: file.sha256 for name, file in manifest.files.items()}
    forms = [files, *({**files, _SETTINGS: one} for one in _settings_as_prepared(path))]
    return tuple(dict.fromkeys(
        sha256(json.dumps(sorted(one.items())).encode()).hexdigest() for one in forms
    ))  # fmt: skip


_SETTINGS = "tokenizer_config.json"


def _settings_as_prepared(folder: Path) -> Iterator[str]:
    """Yield the digests of a tokenizer's settings as written with a network and without one."""
    try:
        data: object = json.loads((folder / _SETTINGS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(data, dict):
        told = cast("dict[str, object]", data)
        for offline in (False, True):
            text = json.dumps(
                {**told, "local_files_only": offline}, indent=2, sort_keys=True, ensure_ascii=False
            )
            yield sha256(f"{text}\n".encode()).hexdigest()


def _former_of_files(folder: Path) -> str:
    total = sha256()
    for file in sorted(folder.iterdir()):
        if not file.is_file():
            continue
        stat = file.stat()
        if file.suffix in {".json", ".jinja"}:
            fact = file_digest(file)
        else:
            fact = f"{stat.st_size}:{stat.st_mtime_ns}"
        total.update(f"{file.name}={fact}\n".encode())
    return total.hexdigest()
