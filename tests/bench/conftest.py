"""The bench's own adapters, for the suites of the ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.ports.catalogue import Holds, Points, Restores
from holdfast.ports.storage import Archive, Scratch

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def archive(tmp_path: Path, bench_is_importable: None) -> Archive:
    from bench.archive.directory import DirectoryArchive

    return DirectoryArchive(tmp_path)


@pytest.fixture
def scratch(tmp_path: Path, bench_is_importable: None) -> Scratch:
    from bench.archive.directory import DirectoryScratch

    return DirectoryScratch(tmp_path / "scratch")


@pytest.fixture
def points(tmp_path: Path, bench_is_importable: None) -> Points:
    from bench.archive.catalogue import FilePoints

    return FilePoints(tmp_path)


@pytest.fixture
def holds(tmp_path: Path, bench_is_importable: None) -> Holds:
    from bench.archive.catalogue import FileHolds

    return FileHolds(tmp_path)


@pytest.fixture
def restores(tmp_path: Path, bench_is_importable: None) -> Restores:
    from bench.archive.catalogue import FileRestores

    return FileRestores(tmp_path)
