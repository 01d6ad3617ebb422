"""What an interrupted synthesis leaves behind never gets into the next one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.configuration import load
from holdfast_infra import app

from .conftest import small_layers

pytestmark = pytest.mark.xdist_group("infra")

MINIMAL = '[holdfast]\nregion = "eu-central-1"\n\n[databases.shop]\nprovider = "postgres"\n'


class Stopped(BaseException):
    """What Ctrl-C raises, so to speak."""


def synthesise(tmp_path: Path, layers: Mapping[str, Path]) -> Path:
    file = tmp_path / "holdfast.toml"
    file.write_text(MINIMAL)
    return app.synthesise(load(file), target="host", output=tmp_path / "out", build=lambda _: layers)


def broken(output: Path) -> int:
    """Remove a file from every copied asset, as if copying had been interrupted; return how many."""
    copies = [asset for asset in output.glob("asset.*") if asset.is_dir()]
    files = [next(path for path in sorted(copied.rglob("*")) if path.is_file()) for copied in copies]
    for file in files:
        file.unlink()
    return len(files)


def differing(output: Path, layers: Mapping[str, Path]) -> list[str]:
    """Return the layers of which no copied asset has as many files."""
    counts = {count_of(asset) for asset in output.glob("asset.*")}
    return [name for name, layer in layers.items() if count_of(layer) not in counts]


def count_of(directory: Path) -> int:
    return sum(path.is_file() for path in directory.rglob("*"))


@pytest.fixture
def layers(tmp_path: Path) -> Mapping[str, Path]:
    """Layers with so many files that none is taken for another."""
    found = small_layers(tmp_path / "layers")
    for number, layer in enumerate(found.values(), start=41):
        for file in range(number):
            (layer / f"file-{file}").write_text("x")
    return found


def test_a_copy_that_was_interrupted_is_made_again(tmp_path: Path, layers: Mapping[str, Path]) -> None:
    output = synthesise(tmp_path, layers)
    assert broken(output) > len(layers)

    synthesise(tmp_path, layers)

    assert differing(output, layers) == []
    assert not list(tmp_path.glob(".out-*"))


def test_an_interrupted_synthesis_leaves_the_former_one_alone(
    tmp_path: Path, layers: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Stopped

    output = synthesise(tmp_path, layers)
    before = sorted(path.name for path in output.iterdir())
    monkeypatch.setattr("aws_cdk.App.synth", stop)

    with pytest.raises(Stopped):
        synthesise(tmp_path, layers)

    assert sorted(path.name for path in output.iterdir()) == before
    assert not list(tmp_path.glob(".out-*"))


def test_the_cdk_command_s_own_synthesis_repairs_them_too(tmp_path: Path, layers: Mapping[str, Path]) -> None:
    (tmp_path / "holdfast.toml").write_text(MINIMAL)
    program = f"""
from pathlib import Path
from holdfast_infra import app
app.built_layers.build = lambda _: {{name: Path(path) for name, path in {_texts(layers)!r}.items()}}
app.main()
"""

    def synthesised() -> Path:
        context = json.dumps({"target": "host", "configuration": str(tmp_path / "holdfast.toml")})
        environment = {**os.environ, "CDK_OUTDIR": str(tmp_path / "cdk"), "CDK_CONTEXT_JSON": context}
        subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
        return tmp_path / "cdk"

    assert broken(synthesised()) > len(layers)

    assert differing(synthesised(), layers) == []


def _texts(layers: Mapping[str, Path]) -> dict[str, str]:
    return {name: str(path) for name, path in layers.items()}
