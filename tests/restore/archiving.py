"""Write an archive of a live database by hand, as small as the format allows, for restores to read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import zstandard

from fakes import MemoryArchive, MemoryDigestKeys, MemoryPoints, MemorySigner
from holdfast.adapters.postgres import facts, large_objects, programs
from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.adapters.postgres.copying import pins, range_query
from holdfast.adapters.postgres.read_back import ReadBack
from holdfast.adapters.postgres.reading import sequence_values
from holdfast.adapters.postgres.relations import tables
from holdfast.adapters.postgres.roles import roles_named
from holdfast.adapters.postgres.schema_dump import text_of_dumps
from holdfast.archive.digest import RowDigest
from holdfast.archive.sealing import canonical
from holdfast.contracts.documents import RangePlan
from holdfast.contracts.manifest import Chunk, LargeObjects, Manifest, Snapshot, StoredObject, TableContent
from holdfast.contracts.verify import DigestOf, Verification
from holdfast.model.keys import GLOBALS, MANIFEST, PUBLIC_KEY, ROLES, SCHEMA, SIGNATURE, VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint, Tier

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Archiver:
    """An archive in memory, and what wrote it."""

    archive: MemoryArchive = field(default_factory=MemoryArchive)
    points: MemoryPoints = field(default_factory=MemoryPoints)
    signer: MemorySigner = field(default_factory=MemorySigner)
    digest_keys: MemoryDigestKeys = field(default_factory=MemoryDigestKeys)
    chunk_bytes: int = 16 * 1024
    large_objects_from: str = "pg_largeobject"

    def take(self, parameters: ConnectionParameters, *, name: str = "shop", at: datetime = NOON) -> RecoveryPoint:
        """Archive the database of *parameters* as a new, intact point of *name*."""
        point_id = f"{name}-{at:%Y%m%dt%H%M%Sz}-00000a"
        manifest = self._manifest(parameters, name, point_id, at)
        return self.seal(manifest, at)

    def seal(self, manifest: Manifest, at: datetime = NOON) -> RecoveryPoint:
        """Sign *manifest* and put everything of its point into the bucket."""
        keys = ArchiveKeys(manifest.database)
        body = canonical(manifest)
        sha256 = hashlib.sha256(body)
        stored = self._put(keys.of_point(manifest.point_id, MANIFEST), body)
        self._put(keys.of_point(manifest.point_id, SIGNATURE), self.signer.sign(sha256.digest()))
        self._put(keys.of_point(manifest.point_id, PUBLIC_KEY), self.signer.public_key())
        digests = tuple(self._digest(manifest, content) for content in manifest.contents)
        verification = Verification(
            point_id=manifest.point_id, manifest_sha256=sha256.hexdigest(), checked_at=at, tables=digests
        )
        self._put(keys.of_point(manifest.point_id, VERIFICATION), verification.model_dump_json().encode())
        point = RecoveryPoint(
            id=manifest.point_id,
            database=manifest.database,
            tier=Tier.MANUAL,
            kind="full",
            state=PointState.INTACT,
            started_at=at,
            taken_at=at,
            execution=f"arn:backup:{manifest.point_id}",
            manifest_version=stored.version_id,
            manifest_sha256=sha256.hexdigest(),
        )
        self.points.points[point.id] = point
        return point

    def with_state(self, point: RecoveryPoint, state: PointState, failure: str = "") -> RecoveryPoint:
        """Put *point* into *state*."""
        self.points.points[point.id] = replace(point, state=state, failure=failure)
        return self.points.points[point.id]

    def _manifest(self, parameters: ConnectionParameters, name: str, point_id: str, at: datetime) -> Manifest:
        keys = ArchiveKeys(name)
        with connect(parameters, application_name="archiver", search_path="") as connection:
            with connection.transaction():
                source = facts.source(connection)
            settings = pins(source.encoding)
            listed = tables(connection)
            objects = large_objects.large_object_facts(connection)
            names = connection.execute("SELECT schemaname, sequencename FROM pg_sequences").fetchall()
            return Manifest(
                point_id=point_id,
                database=name,
                provider="postgres",
                tier="manual",
                kind="full",
                holdfast_version="0",
                client_version="18.6",
                started_at=at,
                sealed_at=at + timedelta(minutes=1),
                source=source,
                snapshot=Snapshot(taken_at=at, lsn="0/0"),
                settings=settings,
                schema_dump=self._schema(parameters, keys.of_point(point_id, SCHEMA), source.encoding),
                schema_fingerprint="",
                globals_sql=self._stored(keys.of_point(point_id, GLOBALS), b""),
                roles_document=self._stored(
                    keys.of_point(point_id, ROLES),
                    roles_named(connection, facts.roles(connection)).model_dump_json().encode(),
                ),
                roles=facts.roles(connection),
                extensions=facts.extensions(connection),
                tables=tuple(
                    self._content(
                        parameters, name, settings,
                        RangePlan(
                            table=index,
                            schema_name=table.relation.name.schema,
                            name=table.relation.name.name,
                            columns=table.columns,
                            condition=table.condition,
                            bytes=table.bytes,
                        ),
                    ).model_copy(update={"types": table.types, "load_into": table.root})
                    for index, table in enumerate(listed)
                ),
                large_objects=self._large_objects(parameters, name, settings, objects) if objects.count else None,
                sequences=tuple(sequence_values(connection, [(str(s), str(n)) for s, n in names]).values()),
                materialised_views=facts.materialised_views(connection),
            )  # fmt: skip

    def _large_objects(
        self, parameters: ConnectionParameters, database: str, settings: dict[str, str],
        objects: large_objects.LargeObjectFacts,
    ) -> LargeObjects:  # fmt: skip
        listed, content = (
            self._content(
                parameters, database, settings,
                RangePlan(table=table, schema_name=large_objects.CATALOGUE, name=name, columns=columns, bytes=0),
            )
            for table, name, columns in (
                (large_objects.LIST, large_objects.LISTED_IN, large_objects.LIST_COLUMNS),
                (large_objects.CONTENT, self.large_objects_from, large_objects.CONTENT_COLUMNS),
            )
        )  # fmt: skip
        return LargeObjects(owners=objects.owners, listed=listed, content=content)

    def _schema(self, parameters: ConnectionParameters, key: str, encoding: str) -> StoredObject:
        options = ["--format=custom", "--schema-only", "--sequence-data", f"--encoding={text_of_dumps(encoding)}"]
        return self._stored(key, programs.run("pg_dump", options, parameters))

    def _content(
        self, parameters: ConnectionParameters, database: str, settings: dict[str, str], planned: RangePlan
    ) -> TableContent:
        with ReadBack(parameters, settings) as session:
            plain = b"".join(session.rows(range_query(planned)))
        chunks = []
        while plain:
            end = len(plain) if len(plain) <= self.chunk_bytes else plain.index(b"\n", self.chunk_bytes) + 1
            chunks.append(self._chunk(database, plain[:end], part=len(chunks)))
            plain = plain[end:]
        return TableContent(
            schema_name=planned.schema_name,
            name=planned.name,
            columns=planned.columns,
            rows=sum(chunk.rows for chunk in chunks),
            plain=sum(chunk.plain for chunk in chunks),
            condition=planned.condition,
            chunks=tuple(chunks),
        )

    def _chunk(self, database: str, plain: bytes, *, part: int) -> Chunk:
        sha256 = hashlib.sha256(plain).hexdigest()
        packed = zstandard.ZstdCompressor(level=1).compress(plain)
        stored = self._put(ArchiveKeys(database).chunk(sha256), packed)
        return Chunk(
            sha256=sha256,
            version_id=stored.version_id,
            rows=plain.count(b"\n"),
            plain=len(plain),
            stored=len(packed),
            part=part,
        )

    def _digest(self, manifest: Manifest, content: TableContent) -> DigestOf:
        digest = RowDigest(self.digest_keys.digest_key(manifest.database))
        for chunk in content.chunks:
            packed = self.archive.read(ArchiveKeys(manifest.database).chunk(chunk.sha256), chunk.version_id)
            digest.update(zstandard.ZstdDecompressor().decompress(packed))
        found = digest.finish()
        return DigestOf(schema_name=content.schema_name, name=content.name, rows=found.rows, digest=found.hex)

    def _stored(self, key: str, body: bytes) -> StoredObject:
        stored = self._put(key, body)
        return StoredObject(
            key=key, version_id=stored.version_id, sha256=hashlib.sha256(body).hexdigest(), size=len(body)
        )

    def _put(self, key: str, body: bytes):
        return self.archive.put(key, body, sha256=hashlib.sha256(body).hexdigest())
