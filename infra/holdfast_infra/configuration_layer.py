"""The configuration as a layer: a small Python package that holds the normalised document and nothing else."""

from __future__ import annotations

from pathlib import Path

from holdfast.configuration import Configuration
from holdfast.configuration.reading import DOCUMENT, PACKAGE


def write_configuration_layer(configuration: Configuration, directory: Path) -> Path:
    """Write the package under *directory* and return it; the same configuration gives the same bytes."""
    package = directory / "python" / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text('"""The configuration that this system was deployed with."""\n')
    (package / DOCUMENT).write_text(configuration.document(), encoding="utf-8")
    return directory
