"""Write a point as one file of SQL, which psql takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from holdfast.adapters.postgres.quoting import literal, qualified
from holdfast.archive import large_object_script as script
from holdfast.archive.handbook import copy_statement
from holdfast.contracts.manifest import Manifest, TableContent
from holdfast.errors import LocalDiskFull, TargetNotEmpty
from holdfast.usecases.download.files import file_to, growing, trouble_at
from holdfast.usecases.download.source import Source

Definitions = Callable[[bytes, str], bytes]
"""Returns the SQL of one section (`pre-data`, `data`, `post-data`) of an archive of pg_dump."""

_FIRST = "-- Holdfast: recovery point {point}, {taken_at} UTC. Run it with psql -X -f in an empty database.\n"
_END = b"\\.\n\n"


def write_sql(source: Source, target: Path, *, definitions: Definitions) -> None:
    """
    Write everything into the file *target*, which must not exist, and the roles into `<target>.roles.sql`.

    Until all of it is there and checked it is called `<target>.part`. Raises `TargetNotEmpty`, `ArchiveDamaged`,
    `LocalDiskFull`, which is known beforehand, and `BadRequest`.
    """
    first = _FIRST.format(point=source.point.id, taken_at=f"{source.manifest.snapshot.taken_at:%Y-%m-%d %H:%M:%S}")
    with trouble_at(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _refuse(source, target, first)
    with file_to(target) as file:
        for block in _script(source, first, definitions):
            file.write(block)
    # Roles are no part of a database: whoever restores creates them first.
    with file_to(roles_beside(target)) as file:
        file.write(source.roles())


def roles_beside(target: Path) -> Path:
    """Return where the roles lie that belong to the file *target*."""
    return target.with_name(f"{target.name}.roles.sql")


def _refuse(source: Source, target: Path, first: str) -> None:
    """Refuse what is somebody else's, and a disk that the rows alone do not fit on."""
    place = growing(target)
    ours = place.is_file() and _begins_with(place, first.encode())
    there = next((path for path in (target, roles_beside(target)) if path.exists()), None)
    taken = there or (place if place.exists() and not ours else None)
    if taken:
        raise TargetNotEmpty(f"{taken} is there already.", hint="Give a new name with --to; nothing is overwritten.")
    needed, left = sum(content.plain for content in source.manifest.contents), shutil.disk_usage(target.parent).free
    if needed > left:
        raise LocalDiskFull(f"{target} takes more than {needed} bytes, and there is room for {left}.")


def _begins_with(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text


def _script(source: Source, first: str, definitions: Definitions) -> Iterator[bytes]:
    manifest, dump = source.manifest, source.schema_dump()
    yield f"{first}\\set ON_ERROR_STOP on\n\n".encode()
    if dump:
        yield definitions(dump, "pre-data")
    yield _settings(manifest)
    for table in source.tables:
        yield from _rows(source, table, copy_statement(table))
    if manifest.large_objects:
        yield from _large_objects(source)
    if source.sets_sequences:
        yield "".join(_sequences(manifest)).encode()
    if dump:
        yield definitions(dump, "data")
        yield definitions(dump, "post-data")
    for view in manifest.materialised_views:
        yield f"REFRESH MATERIALIZED VIEW {qualified(view.schema_name, view.name)};\n".encode()
    yield b"ANALYZE;\n"


def _settings(manifest: Manifest) -> bytes:
    """Return what values are written under; the text of statements is UTF-8, that of rows says what it is."""
    kept = {name: value for name, value in manifest.settings.items() if name != "client_encoding"}
    kept |= {"client_encoding": "UTF8"}
    if manifest.schema_dump is None:
        # The tables have their triggers and foreign keys already.
        kept["session_replication_role"] = "replica"
    return "".join(f"SET {name} = {literal(value)};\n" for name, value in kept.items()).encode() + b"\n"


def _rows(source: Source, content: TableContent, copy: str) -> Iterator[bytes]:
    encoding = literal(source.manifest.settings["client_encoding"])
    yield f"{copy.removesuffix(' FROM STDIN')} FROM stdin (ENCODING {encoding});\n".encode()
    yield from source.rows(content)
    yield _END


def _large_objects(source: Source) -> Iterator[bytes]:
    objects = source.manifest.large_objects
    assert objects is not None  # noqa: S101  # asked by the caller
    home = "holdfast_download"
    yield f"CREATE SCHEMA {home};\n{'; '.join(script.creations(home))};\n".encode()
    for name, content in (("list", objects.listed), ("content", objects.content)):
        yield from _rows(source, content, f"COPY {home}.holdfast_{name}")
    together = ";\n".join(script.assembly(home))
    yield f"BEGIN;\n{together};\nCOMMIT;\n{script.description(home, objects)};\n".encode()
    yield f"{script.removal(home)};\nDROP SCHEMA {home};\n".encode()


def _sequences(manifest: Manifest) -> Iterator[str]:
    for one in manifest.sequences:
        name = literal(qualified(one.schema_name, one.name))
        yield f"SELECT pg_catalog.setval({name}, {one.value}, {str(one.called).lower()});\n"
