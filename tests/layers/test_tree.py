"""What a layer takes over from a directory."""

from __future__ import annotations

from pathlib import Path

from holdfast_infra.layers.tree import copy_tree


def test_a_copy_leaves_bytecode_and_hidden_caches_behind(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (
        "package/module.py",
        "package/__pycache__/module.cpython-311.pyc",
        "package/.mypy_cache/3.11/cache.db",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")

    copy_tree(source, tmp_path / "copy")

    assert [path for path in (tmp_path / "copy").rglob("*") if path.is_file()] == [tmp_path / "copy/package/module.py"]
