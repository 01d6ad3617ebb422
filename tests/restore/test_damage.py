"""Whatever is damaged in the archive is found by verification and by a restore, which names a point that is whole."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import zstandard

from fakes import MemoryArchive, MemoryDigestKeys, MemoryPoints, MemorySigner
from holdfast.archive.sealing import canonical
from holdfast.archive.writing import compressed
from holdfast.contracts.manifest import Chunk, Manifest
from holdfast.errors import ArchiveDamaged, HoldfastError, PointNotRestorable, SignatureInvalid
from holdfast.model.keys import GLOBALS, MANIFEST, PUBLIC_KEY, ROLES, SCHEMA, SIGNATURE, VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState
from holdfast.usecases.restore.load import load
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine, machine
from snapshot.rig import DATABASE, Rig

KEYS = ArchiveKeys(DATABASE)
SOURCE = """
    CREATE TABLE orders (id int, note text);
    CREATE TABLE still AS SELECT n FROM generate_series(1, 100) n;
    INSERT INTO orders SELECT n, md5(n::text) FROM generate_series(1, 3000) n;
    SELECT lo_from_bytea(5, '\\x0102')
"""
NAMED = {
    "rows": "public.orders (the whole table)",
    "large object": "pg_catalog.pg_largeobject (the whole table)",
    "list": "pg_catalog.pg_largeobject_metadata (the whole table)",
}


@dataclass
class Pair:
    """Two points of one database, the *older* one whole, and what restores and verifies them."""

    rig: Rig
    machine: Machine
    older: str
    newer: str

    @property
    def archive(self) -> MemoryArchive:
        return self.rig.archive

    def manifest(self) -> Manifest:
        return self.rig.manifest(self.newer)

    def key(self, what: str) -> str:
        """Return the key of what is damaged: a chunk of the newer point alone, or what lies beside its manifest."""
        manifest = self.manifest()
        pinned = {SCHEMA: manifest.schema_dump, GLOBALS: manifest.globals_sql, ROLES: manifest.roles_document}
        if found := pinned.get(what):
            return found.key
        return KEYS.chunk(self.chunk(what).sha256) if what in NAMED else KEYS.of_point(self.newer, what)

    def chunk(self, what: str) -> Chunk:
        manifest = self.manifest()
        assert manifest.large_objects
        contents = {"rows": manifest.tables[0], "large object": manifest.large_objects.content}
        return contents.get(what, manifest.large_objects.listed).chunks[0]

    def verification_fails(self) -> str:
        """Return what verifying the newer point finds."""
        try:
            verdict = self.rig.verify(self.newer)
        except HoldfastError as error:
            return error.message
        assert not verdict.intact
        return f"{verdict.faults[0].what}: {verdict.faults[0].problem}"


@pytest.fixture(scope="module")
def taken(databases: Databases, programs: str) -> Iterator[tuple[Rig, str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", programs)
        source = databases.create(SOURCE)
        rig = Rig(databases.parameters(source))
        older = rig.backup()
        assert rig.verify(older.id).intact
        databases.run(source, "UPDATE orders SET note = note || 'x'")
        databases.run(source, "SELECT lo_put(5, 0, 'new'), lo_create(6)")
        newer = rig.backup()
        assert rig.verify(newer.id).intact
        yield rig, older.id, newer.id


@pytest.fixture
def pair(taken: tuple[Rig, str, str], databases: Databases) -> Pair:
    """Return the two points in an archive of this test's own."""
    rig, older, newer = taken
    mine = replace(rig, archive=MemoryArchive(), points=MemoryPoints())
    mine.points.points = dict(rig.points.points)
    mine.archive.versions = copy.deepcopy(rig.archive.versions)
    mine.archive.puts = rig.archive.puts
    archiver = Archiver(mine.archive, mine.points, mine.signer, mine.digest_keys)
    url = databases.server.url(rig.parameters.dbname)
    return Pair(mine, machine(archiver, {"holdfast/shop": url}), older, newer)


def flip(body: bytes) -> bytes:
    return body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one bit": flip,
    "cut short": lambda body: body[: len(body) * 2 // 3],
    "empty": lambda body: b"",
    "something behind": lambda body: body + b"\0",
}
FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "a frame behind": lambda body: body + compressed(b"more\n"),
    "an empty frame behind": lambda body: body + compressed(b""),
    "a frame to skip behind": lambda body: body + b"\x50\x2a\x4d\x18\x04\0\0\0skip",
    "two frames": lambda body: b"".join(compressed(part) for part in halves(zstandard.decompress(body))),
    "a dictionary": lambda body: with_dictionary(zstandard.decompress(body)),
}


def halves(plain: bytes) -> tuple[bytes, bytes]:
    cut = plain.index(b"\n", len(plain) // 2) + 1 if b"\n" in plain[len(plain) // 2 : -1] else 0
    return plain[:cut], plain[cut:]


def with_dictionary(plain: bytes) -> bytes:
    known = zstandard.ZstdCompressionDict(plain[:200] * 2, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=known, write_dict_id=True, write_checksum=True).compress(plain)


def refused(pair: Pair, databases: Databases) -> HoldfastError:
    """Return the error with which a restore of the newest point ends: before anything is touched, or by load."""
    into = databases.name()
    try:
        assessed = pair.machine.assess(into)
    except HoldfastError as error:
        assert not databases.exists(into)
        return error
    try:
        pair.machine.prepare(assessed)
        pair.machine.map(assessed.load, load)
    except HoldfastError as error:
        left = databases.run(into, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM pg_largeobject)")
        # Only what was whole has been committed.
        assert left[0][0] in {0, 3000}
        return error
    raise AssertionError("The damage was restored.")


@pytest.mark.parametrize("damage", [*DAMAGES, *FRAMES])
@pytest.mark.parametrize("what", NAMED)
def test_damage_of_a_chunk_is_named_with_table_and_range(
    pair: Pair, databases: Databases, what: str, damage: str
) -> None:
    body = pair.archive.read(pair.key(what))
    pair.archive.damage(pair.key(what), (DAMAGES | FRAMES)[damage](body))

    error, found = refused(pair, databases), pair.verification_fails()

    assert isinstance(error, ArchiveDamaged)
    assert NAMED[what] in error.message
    assert found.startswith(NAMED[what])
    if len(pair.archive.versions[pair.key(what)][0].body) != len(body):  # type: ignore[union-attr]
        assert f"`--point {pair.older}`" in error.hint
    else:
        assert "Verify the point" in error.hint
    # A point that failed is no longer the latest.
    assert pair.machine.world.plan(pair.machine.assess(databases.name()).restore_id).point_id == pair.older


def test_a_point_whose_damage_ends_a_restore_is_no_longer_the_latest(pair: Pair, databases: Databases) -> None:
    pair.archive.damage(pair.key("rows"), flip(pair.archive.read(pair.key("rows"))))
    assessed = pair.machine.assess(databases.name())
    pair.machine.prepare(assessed)
    with pytest.raises(ArchiveDamaged) as caught:
        pair.machine.map(assessed.load, load)

    for _ in range(2):  # a report may be repeated
        answer = pair.machine.report(assessed, "ArchiveDamaged", str(caught.value))

    point = pair.rig.points.get(pair.newer)
    assert point.state is PointState.FAILED
    assert point.failure == caught.value.message
    assert answer.notes[0] == (
        f"{pair.newer} is damaged and counts as failed from now on. "
        f"The newest point that is whole is {pair.older}: restore it with `--point {pair.older}`."
    )
    assert pair.machine.assess(databases.name()).point_id == pair.older


def test_a_point_that_assessing_finds_damaged_is_no_longer_the_latest(pair: Pair, databases: Databases) -> None:
    gone, pair.archive.versions[pair.key("rows")] = pair.archive.versions[pair.key("rows")], []

    error = pair.machine.fails(databases.name())

    assert pair.rig.points.get(pair.newer).failure == error.message
    assert pair.machine.assess(databases.name()).point_id == pair.older
    pair.archive.versions[pair.key("rows")] = gone
    assert pair.rig.verify(pair.newer).intact
    assert pair.rig.points.get(pair.newer).restorable


def test_whole_tables_of_a_damaged_point_are_restored_when_it_is_named(pair: Pair, databases: Databases) -> None:
    pair.archive.versions[pair.key("rows")].clear()
    damage = pair.verification_fails()
    into = databases.name()

    ended = pair.machine.run(into, point=pair.newer, tables=["still"])
    with pytest.raises(ArchiveDamaged, match=r"public\.orders") as caught:
        pair.machine.assess(databases.name(), point=pair.newer)

    assert ended.proof.proven
    assert databases.run(into, "SELECT count(*) FROM still") == [(100,)]
    assert f"WARNING: {pair.newer} is damaged: {damage}" in ended.report.notes[0]
    assert f"`--point {pair.older}`" in caught.value.hint
    assert pair.machine.assess(databases.name()).point_id == pair.older
    assert pair.rig.points.get(pair.newer).state is PointState.FAILED


def test_a_point_that_was_verified_with_another_digest_key_is_to_be_verified_again(
    pair: Pair, databases: Databases
) -> None:
    keys = MemoryDigestKeys(b"that of another region")
    pair.rig.digest_keys = keys
    pair.machine.world = replace(pair.machine.world, digest_keys=keys)

    with pytest.raises(PointNotRestorable, match="with another digest key") as caught:
        pair.machine.assess(databases.name())
    verdict = pair.rig.verify(pair.newer)

    assert f"`holdfast verify {pair.newer} --wait`" in caught.value.hint
    assert verdict.intact
    assert pair.machine.run(databases.name()).proof.proven
    assert pair.rig.verify(pair.newer).intact


@pytest.mark.parametrize("what", NAMED)
def test_a_chunk_that_is_gone_is_named_before_anything_is_touched(pair: Pair, databases: Databases, what: str) -> None:
    pair.archive.versions[pair.key(what)].clear()

    error, found = refused(pair, databases), pair.verification_fails()

    assert error.message == f"The chunk of {NAMED[what]} is missing."
    assert found == f"{NAMED[what]}: It is missing."
    assert f"The newest point that is whole is {pair.older}: restore it with `--point {pair.older}`." in error.hint
    assert found.startswith(NAMED[what])


def test_chunks_that_changed_places_are_found(pair: Pair, databases: Databases) -> None:
    one, other = pair.key("rows"), KEYS.chunk(pair.manifest().tables[1].chunks[0].sha256)
    bodies = pair.archive.read(one), pair.archive.read(other)
    pair.archive.damage(one, bodies[1])
    pair.archive.damage(other, bodies[0])

    error, found = refused(pair, databases), pair.verification_fails()

    assert "The chunk of public.orders (the whole table) has" in error.message
    assert "1 more chunks are damaged or missing." in error.message
    assert found.startswith("public.orders (the whole table)")
    # The older point has one of them, too.
    assert "No other of the newest points of shop is whole." in error.hint


BESIDE = {
    MANIFEST: SignatureInvalid,
    SIGNATURE: SignatureInvalid,
    PUBLIC_KEY: SignatureInvalid,
    SCHEMA: ArchiveDamaged,
    GLOBALS: ArchiveDamaged,
    ROLES: ArchiveDamaged,
    VERIFICATION: ArchiveDamaged,
}


@pytest.mark.parametrize(
    ("name", "damage"),
    # What follows the last line of a key is no part of it.
    [(name, damage) for name in BESIDE for damage in DAMAGES if (name, damage) != (PUBLIC_KEY, "something behind")],
)
def test_damage_beside_the_chunks_is_found_before_anything_is_touched(
    pair: Pair, databases: Databases, name: str, damage: str
) -> None:
    pair.archive.damage(pair.key(name), DAMAGES[damage](pair.archive.read(pair.key(name))))
    into = databases.name()

    with pytest.raises(BESIDE[name]) as caught:
        pair.machine.assess(into)

    assert f"`--point {pair.older}`" in caught.value.hint
    assert not databases.exists(into)


PINNED = [*NAMED, *(name for name in BESIDE if name != PUBLIC_KEY)]
"""The public key is pinned nowhere: it is only compared with our own."""


@pytest.mark.parametrize("name", [name for name in BESIDE if name != PUBLIC_KEY])
def test_what_is_gone_beside_the_chunks_is_found(pair: Pair, databases: Databases, name: str) -> None:
    pair.archive.versions[pair.key(name)].clear()

    with pytest.raises((ArchiveDamaged, SignatureInvalid)) as caught:
        pair.machine.assess(databases.name())

    assert f"`--point {pair.older}`" in caught.value.hint


def test_a_restore_does_without_the_key_beside_the_manifest_and_tells_so(pair: Pair, databases: Databases) -> None:
    pair.archive.delete(pair.key(PUBLIC_KEY))

    assessed = pair.machine.assess(databases.name())

    assert "The public key beside" in " ".join(pair.machine.world.plan(assessed.restore_id).warnings)


@pytest.mark.parametrize("what", PINNED)
@pytest.mark.parametrize("hidden", ["by a delete marker", "by another version"])
def test_what_is_hidden_is_read_all_the_same(pair: Pair, databases: Databases, what: str, hidden: str) -> None:
    key = pair.key(what)
    pair.archive.delete(key)
    if hidden == "by another version":
        pair.archive.put(key, b"forged", sha256=hashlib.sha256(b"forged").hexdigest())

    assert pair.machine.run(databases.name()).proof.proven
    assert pair.rig.verify(pair.newer).intact


def put_manifest(pair: Pair, manifest: Manifest, signer: MemorySigner, *, known: bool) -> None:
    """Put a forged manifest, its signature and key in place; *known* when the catalogue was forged with it."""
    body = canonical(manifest)
    digest = hashlib.sha256(body)
    signature = signer.sign(digest.digest())
    for name, forged in ((MANIFEST, body), (SIGNATURE, signature), (PUBLIC_KEY, signer.public_key())):
        pair.archive.damage(pair.key(name), forged)
    if known:
        point = pair.rig.points.get(pair.newer)
        pair.rig.points.points[pair.newer] = replace(point, manifest_sha256=digest.hexdigest())


def swapped(manifest: Manifest) -> Manifest:
    """Return the manifest with the chunks of two tables in each other's place."""
    one, other = manifest.tables
    changed = (
        one.model_copy(update={"chunks": other.chunks, "rows": other.rows, "plain": other.plain}),
        other.model_copy(update={"chunks": one.chunks, "rows": one.rows, "plain": one.plain}),
    )
    return manifest.model_copy(update={"tables": changed})


@pytest.mark.parametrize(
    ("by", "known"),
    [
        pytest.param("another key", False, id="by another key, in the bucket alone"),
        pytest.param("another key", True, id="by another key, in the catalogue, too"),
        pytest.param("our key", False, id="by our key, in the bucket alone"),
    ],
)
def test_chunks_swapped_in_the_manifest_are_found(pair: Pair, databases: Databases, *, by: str, known: bool) -> None:
    put_manifest(pair, swapped(pair.manifest()), pair.rig.signer if by == "our key" else MemorySigner(), known=known)

    with pytest.raises(SignatureInvalid) as caught:
        pair.machine.assess(databases.name())

    assert f"`--point {pair.older}`" in caught.value.hint
    assert "manifest of" in pair.verification_fails()


@pytest.mark.parametrize("known", [False, True], ids=["the bucket alone", "the catalogue, too"])
def test_an_older_manifest_in_a_newer_point_s_place_is_found(pair: Pair, databases: Databases, *, known: bool) -> None:
    put_manifest(pair, pair.rig.manifest(pair.older), pair.rig.signer, known=known)
    told = f"is that of {pair.older}" if known else "is not the one that was sealed"

    with pytest.raises(SignatureInvalid, match=told):
        pair.machine.assess(databases.name())

    assert "manifest of" in pair.verification_fails()


def test_another_point_s_verification_is_not_believed(pair: Pair, databases: Databases) -> None:
    other = pair.archive.read(KEYS.of_point(pair.older, VERIFICATION))
    pair.archive.damage(pair.key(VERIFICATION), other)

    with pytest.raises(ArchiveDamaged, match=f"The verification of {pair.newer} is not the one"):
        pair.machine.assess(databases.name())

    assert VERIFICATION in pair.verification_fails()


def test_points_that_a_former_key_sealed_are_believed_while_it_is_known(pair: Pair, databases: Databases) -> None:
    former = pair.rig.signer
    signer = MemorySigner(former=(former.public_key(),))
    pair.rig.signer = signer
    pair.machine.world = replace(pair.machine.world, signer=signer)

    assert pair.machine.assess(databases.name()).point_id == pair.newer
    assert pair.rig.verify(pair.newer).intact

    pair.rig.signer = MemorySigner()
    pair.machine.world = replace(pair.machine.world, signer=pair.rig.signer)
    with pytest.raises(SignatureInvalid, match="was not signed by the sealing key"):
        pair.machine.assess(databases.name())
    assert "was not signed by the sealing key" in pair.verification_fails()


def test_a_damaged_point_stays_restorable_by_nobody(pair: Pair, databases: Databases) -> None:
    pair.archive.damage(pair.key("rows"), b"")
    pair.verification_fails()

    assert pair.rig.points.get(pair.newer).state is PointState.FAILED
    error = pair.machine.fails(databases.name(), point=pair.newer)
    assert "public.orders (the whole table)" in error.message
