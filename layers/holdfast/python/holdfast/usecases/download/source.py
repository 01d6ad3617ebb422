"""What is downloaded: a point's rows and what lies beside them, believed only when the manifest says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.archive.reading import read_object
from holdfast.contracts.manifest import Manifest, TableContent
from holdfast.contracts.restoring import Part
from holdfast.errors import ArchiveDamaged, PointNotRestorable
from holdfast.model.keys import GLOBALS, MANIFEST, PUBLIC_KEY, SIGNATURE, ArchiveKeys
from holdfast.model.patterns import match
from holdfast.model.points import PointState, RecoveryPoint, refuse_without_archive
from holdfast.model.restoring import MARKS_SCHEMA
from holdfast.model.toc import read_parts, read_toc
from holdfast.model.toc_writing import SchemaParts
from holdfast.ports.keys import Signer
from holdfast.ports.storage import Archive
from holdfast.usecases.restore.fetching import ahead, rows_of
from holdfast.usecases.restore.parts import named
from holdfast.usecases.verify.plan import described, read_manifest

READABLE = {PointState.CAPTURED, PointState.INTACT, PointState.PROVEN}


@dataclass(frozen=True, slots=True)
class Source:
    """
    One point, or a *part* of it, with its authenticated manifest.

    *told* hears of every number of plain bytes that was read.
    """

    archive: Archive
    point: RecoveryPoint
    manifest: Manifest
    told: Callable[[int], None] = lambda _: None
    part: Part | None = None

    @property
    def tables(self) -> tuple[TableContent, ...]:
        """Return the tables to write; those of an earlier restore are no part of the database."""
        return tuple(table for table in self.manifest.tables if table.schema_name != MARKS_SCHEMA)

    def rows(self, content: TableContent) -> Iterator[bytes]:
        """Yield the rows as COPY text in blocks; raises `ArchiveDamaged` naming table and range."""
        keys = ArchiveKeys(self.point.database)
        for chunk in content.chunks:
            what, counted = described(content, chunk), 0
            with ahead(rows_of(self.archive, keys.chunk(chunk.sha256), chunk, what=what)) as blocks:
                for block in blocks:
                    counted += block.count(b"\n")
                    self.told(len(block))
                    yield block
            if counted != chunk.rows:
                raise ArchiveDamaged(f"The chunk of {what} has {counted} rows; the manifest says {chunk.rows}.")

    def schema_dump(self) -> bytes | None:
        """Return the archive of pg_dump, or what of it is of the part, if there is one; raises `ArchiveDamaged`."""
        found = self.manifest.schema_dump
        dump = read_object(self.archive, found) if found else None
        return SchemaParts(read_parts(dump)).of(self.part.entries or ()) if dump and self.part else dump

    @property
    def sets_sequences(self) -> bool:
        """Whether sequences get their values from the manifest: no dump sets them, or not those of a part."""
        return self.manifest.schema_dump is None or self.part is not None

    def roles(self) -> bytes:
        """Return the statements that create the roles; raises `ArchiveDamaged`."""
        return read_object(self.archive, self.manifest.globals_sql)

    def beside(self) -> dict[str, bytes]:
        """Return, by name, what else belongs to a copy: roles, and what proves where all of it comes from."""
        keys, point = ArchiveKeys(self.point.database), self.point
        return {
            GLOBALS: self.roles(),
            MANIFEST: self.archive.read(keys.of_point(point.id, MANIFEST), point.manifest_version or None),
            SIGNATURE: self.archive.read(keys.of_point(point.id, SIGNATURE), point.signature_version or None),
            PUBLIC_KEY: self.archive.read(keys.of_point(point.id, PUBLIC_KEY)),
        }

    def only(self, *, tables: Sequence[str], schemas: Sequence[str]) -> tuple[Source, tuple[str, ...]]:
        """
        Return what matches patterns of *tables* and *schemas* with what it needs, and sentences on what is left out.

        Raises `BadRequest` for names that the point does not have.
        """
        dump = self.schema_dump()
        entries = read_toc(dump) if dump else ()
        kind = self.manifest.kind
        parted = named(self.manifest, entries, kind, tables=tables, schemas=schemas, match=match)
        notes = (*parted.warnings, *(f"Left out: {name}. {reason}" for name, reason in parted.left_out))
        return replace(self, manifest=parted.manifest, part=parted.part), notes

    def whole(self) -> tuple[Source, tuple[str, ...]]:
        """
        Return what of the point is whole, and a sentence for each table, or all large objects, that is not.

        Everything is read for it, and once more when it is written: half a table helps nobody.
        """
        faults = {content: fault for content in self.manifest.contents if (fault := self._fault_of(content))}
        large = self.manifest.large_objects
        if large and {large.listed, large.content} & faults.keys():
            large = None
        tables = tuple(table for table in self.manifest.tables if table not in faults)
        manifest = self.manifest.model_copy(update={"tables": tables, "large_objects": large})
        return replace(self, manifest=manifest), tuple(faults.values())

    def _fault_of(self, content: TableContent) -> str:
        try:
            for _ in replace(self, told=lambda _: None).rows(content):
                pass
        except ArchiveDamaged as error:
            return error.message
        return ""


def open_source(point: RecoveryPoint, *, archive: Archive, signer: Signer, damaged: bool = False) -> Source:
    """
    Return *point* for reading, also one that was complete and failed later where it may be *damaged*.

    Raises `PointNotRestorable`, `SignatureInvalid`, `ArchiveDamaged`.
    """
    refuse_without_archive(point)
    if point.state not in READABLE and not (damaged and point.damaged):
        rescue = f", or download what of it is whole with `holdfast download {point.id} --damaged`"
        raise PointNotRestorable(
            f"The recovery point {point.id} is {point.state}; there is nothing whole to download.",
            hint=f"Take another one (`holdfast points {point.database}` lists them){rescue if point.damaged else ''}.",
            point=point.id,
        )
    return Source(archive, point, read_manifest(point, archive=archive, signer=signer))
