"""
Write a point as an archive of pg_dump in directory format, which pg_restore takes.

Rows are gzip, the one compression that every pg_restore knows. Large objects are two tables of ours and what makes
objects of them: a file for each of a million objects would help nobody.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from holdfast.adapters.postgres.quoting import literal, qualified
from holdfast.archive import large_object_script as script
from holdfast.archive.handbook import copy_statement
from holdfast.contracts.manifest import Manifest, TableContent
from holdfast.errors import TargetNotEmpty
from holdfast.model.toc import Section, TocParts, read_parts
from holdfast.model.toc_writing import NewEntry, directory_toc
from holdfast.usecases.download.files import file_to, growing, trouble_at
from holdfast.usecases.download.source import Source

TOC = "toc.dat"
OURS = "holdfast.json"
"""Tells which point a directory is of, and so whether a download that broke off may be gone on with."""
LARGE_OBJECTS = "holdfast_download"
"""The schema that the large objects' list and content lie in while they are restored."""
_END = b"\\.\n\n\n"
_WORKERS = 4
_GZIP, _FAST = 31, 1
_CHAINED = "LARGE OBJECTS"


def write_directory(source: Source, target: Path) -> None:
    """
    Write the archive into *target*, which must not exist, or be empty; goes on with what an earlier call left.

    Until all of it is there and checked it lies in `<target>.part`. Raises `TargetNotEmpty`, `ArchiveDamaged`,
    `LocalDiskFull` and `BadRequest`.
    """
    place = growing(target)
    with trouble_at(target):
        _refuse_occupied(target)
        _begin(source, place)
    dump = source.schema_dump()
    schema = read_parts(dump) if dump else None
    entries = list(_entries(source, schema))
    files = [(place / f"{entry.file}.gz", content) for entry, content in entries if content]
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="download") as pool:
        for done in [pool.submit(_write_rows, source, content, path) for path, content in files]:
            done.result()
    for name, body in source.beside().items():
        _write(place / name, [body])
    manifest = source.manifest
    toc = directory_toc(
        schema, [entry for entry, _ in entries], database=manifest.source.database_name, client=manifest.client_version
    )
    _write(place / TOC, [toc])
    with trouble_at(target):
        place.replace(target)


def _refuse_occupied(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise TargetNotEmpty(f"{target} is there already.", hint="Give a new name with --to; nothing is overwritten.")


def _begin(source: Source, place: Path) -> None:
    """Take possession of *place*: new, empty, or left by a download of the same point."""
    mark = {"point": source.point.id, "manifest_sha256": source.point.manifest_sha256}
    if source.part:
        mark["only"] = source.part.words
    place.mkdir(parents=True, exist_ok=True)
    found = place / OURS
    if found.is_file() and json.loads(found.read_text(encoding="utf-8")) == mark:
        return
    if any(place.iterdir()):
        raise TargetNotEmpty(
            f"{place} is there already, and is not what a download of {source.point.id} left.",
            hint="Give another name with --to, or remove it yourself.",
        )
    found.write_text(json.dumps(mark), encoding="utf-8")


def _write_rows(source: Source, content: TableContent, path: Path) -> None:
    """Write a table's file, unless an earlier call completed it."""
    if not path.is_file():
        _write(path, _compressed(source.rows(content)))


def _compressed(rows: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_FAST, zlib.DEFLATED, _GZIP)
    for block in rows:
        yield packer.compress(block)
    yield packer.compress(_END)
    yield packer.flush()


def _write(path: Path, blocks: Iterable[bytes]) -> None:
    with file_to(path) as file:
        for block in blocks:
            file.write(block)


Added = Iterator[tuple[NewEntry, TableContent | None]]


def _entries(source: Source, schema: TocParts | None) -> Added:
    """Yield what is added to the schema's entries, with the rows that belong to it."""
    known = schema.entries if schema else ()
    numbers = count(max((entry.number for entry, _ in known), default=1) + 1)
    homes = {(entry.kind, entry.schema, entry.tag): entry.number for entry, _ in known}
    for table in source.tables:
        home = homes.get(("TABLE", table.schema_name, table.name))
        copy = copy_statement(table)
        yield _rows(next(numbers), table, copy, source.manifest, () if home is None else (home,))
    if source.sets_sequences:
        yield from ((each, None) for each in _sequences(source.manifest, numbers))
    if source.manifest.large_objects:
        yield from _large_objects(source.manifest, numbers)
    before: tuple[int, ...] = ()
    for view in source.manifest.materialised_views:
        home = homes.get(("MATERIALIZED VIEW", view.schema_name, view.name))
        entry = NewEntry(
            number=next(numbers), kind="MATERIALIZED VIEW DATA", tag=view.name, schema=view.schema_name,
            section=Section.POST_DATA,
            definition=f"REFRESH MATERIALIZED VIEW {qualified(view.schema_name, view.name)};\n",
            depends_on=before if home is None else (home, *before),
        )  # fmt: skip
        before = (entry.number,)
        yield entry, None


def _rows(
    number: int, content: TableContent, copy: str, manifest: Manifest, depends_on: tuple[int, ...]
) -> tuple[NewEntry, TableContent]:
    encoding = literal(manifest.settings["client_encoding"])
    entry = NewEntry(
        number=number, kind="TABLE DATA", tag=content.name, schema=content.schema_name, section=Section.DATA,
        copy=f"{copy.removesuffix(' FROM STDIN')} FROM stdin (ENCODING {encoding});\n", file=f"{number}.dat",
        depends_on=depends_on,
    )  # fmt: skip
    return entry, content


def _sequences(manifest: Manifest, numbers: Iterator[int]) -> Iterator[NewEntry]:
    """Yield what sets sequences where no schema dump does."""
    for one in manifest.sequences:
        name = literal(qualified(one.schema_name, one.name))
        yield NewEntry(
            number=next(numbers), kind="SEQUENCE SET", tag=one.name, schema=one.schema_name, section=Section.DATA,
            definition=f"SELECT pg_catalog.setval({name}, {one.value}, {str(one.called).lower()});\n",
        )  # fmt: skip


def _large_objects(manifest: Manifest, numbers: Iterator[int]) -> Added:
    objects = manifest.large_objects
    assert objects is not None  # noqa: S101  # asked by the caller
    home = NewEntry(
        number=next(numbers), kind="SCHEMA", tag=LARGE_OBJECTS, section=Section.PRE_DATA,
        definition=f"CREATE SCHEMA {LARGE_OBJECTS};\n",
    )  # fmt: skip
    yield home, None
    loaded = []
    for name, content, creation in zip(
        ("holdfast_list", "holdfast_content"),
        (objects.listed, objects.content),
        script.creations(LARGE_OBJECTS),
        strict=True,
    ):
        table = NewEntry(
            number=next(numbers), kind="TABLE", tag=name, schema=LARGE_OBJECTS, section=Section.PRE_DATA,
            definition=f"{creation};\n", depends_on=(home.number,),
        )  # fmt: skip
        yield table, None
        aside = content.model_copy(update={"schema_name": LARGE_OBJECTS, "name": name})
        rows, _ = _rows(next(numbers), aside, f"COPY {LARGE_OBJECTS}.{name}", manifest, (table.number,))
        yield rows, content
        loaded.append(rows.number)
    before = tuple(loaded)
    removal = f"{script.removal(LARGE_OBJECTS)};\nDROP SCHEMA {LARGE_OBJECTS}"
    for text in (";\n".join(script.assembly(LARGE_OBJECTS)), script.description(LARGE_OBJECTS, objects), removal):
        step = NewEntry(
            number=next(numbers), kind=_CHAINED, tag=LARGE_OBJECTS, schema="", section=Section.POST_DATA,
            definition=f"{text};\n", depends_on=before,
        )  # fmt: skip
        before = (step.number,)
        yield step, None
