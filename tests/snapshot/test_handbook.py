"""RESTORE.md is run as it is written, by bash, with a stand-in for the AWS CLI."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.fingerprint import fingerprint, same_structure
from holdfast.contracts.selection import Selection
from holdfast.errors import ArchiveDamaged
from holdfast.model.keys import HANDBOOK, MANIFEST, ArchiveKeys
from holdfast.model.points import Kind, RecoveryPoint
from holdfast_local.postgres import EmbeddedPostgres
from snapshot.rig import BUCKET, DATABASE, Rig
from snapshot.servers import SHOP, Databases

AWS = """\
import pathlib, shutil, sys
args = sys.argv[1:]
if args[:2] == ["s3", "cp"]:
    bucket, key = args[2].removeprefix("s3://").split("/", 1)
    version, target = "latest", args[3]
else:
    assert args[:2] == ["s3api", "get-object"]
    options = dict(zip(args[2:-1:2], args[3:-1:2]))
    bucket, key, version, target = options["--bucket"], options["--key"], options["--version-id"], args[-1]
shutil.copyfile(pathlib.Path(__file__).parent / "objects" / bucket / key / version, target)
print("{}")
"""
# Like the real ones: what is not whole ends with 1 and a line on standard error, and unknown options are refused.
ZSTD = """\
import sys, zstandard
if len(sys.argv) != 3 or sys.argv[1] != "-dcq":
    sys.exit("zstd: unknown options")
body, plain = open(sys.argv[2], "rb").read(), []
while body:
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        plain.append(frame.decompress(body))
    except zstandard.ZstdError as error:
        sys.exit(f"zstd: {sys.argv[2]}: {error}")
    if not frame.eof:
        sys.exit(f"zstd: {sys.argv[2]}: Read error (39) : premature end")
    body = frame.unused_data
sys.stdout.buffer.write(b"".join(plain))
"""
OPENSSL = """\
import sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
if sys.argv[1:4] != ["dgst", "-sha256", "-verify"] or sys.argv[5] != "-signature" or len(sys.argv) != 8:
    sys.exit("openssl: unknown options")
key, signature, signed = (open(sys.argv[at], "rb").read() for at in (4, 6, 7))
try:
    serialization.load_pem_public_key(key).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
except InvalidSignature:
    print("Verification failure")
    sys.exit(1)
print("Verified OK")
"""
STAND_INS = "stand-ins"
OWN = {name: found for name in ("zstd", "openssl") if (found := shutil.which(name))}
TOOLS = [STAND_INS, *(["the machine's own"] if len(OWN) == 2 else [])]
"""The pinned packages bring neither zstd nor openssl; where the machine has them, they are run, too."""


@pytest.fixture
def tools(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a directory with what takes the place of the AWS CLI, and of zstd and openssl or links to them."""
    wanted = {"aws": AWS, "zstd": ZSTD, "openssl": OPENSSL}
    for name, source in wanted.items():
        if name in OWN and getattr(request, "param", STAND_INS) != STAND_INS:
            (tmp_path / name).symlink_to(OWN[name])
            continue
        (tmp_path / f"{name}.py").write_text(source)
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path / name}.py" "$@"\n')
        program.chmod(0o755)
    return tmp_path


def export(rig: Rig, directory: Path) -> None:
    """Write every version of every object where the stand-in for the AWS CLI looks."""
    for key, versions in rig.archive.versions.items():
        for version in versions:
            if version:
                place = directory / "objects" / BUCKET / key
                place.mkdir(parents=True, exist_ok=True)
                (place / version.id).write_bytes(version.body)
                (place / "latest").write_bytes(version.body)


def run_handbook(text: str, directory: Path, parameters: ConnectionParameters, programs: str) -> str:
    """Run every block of the handbook in one shell, but for the list that one of them reads."""
    blocks = [block for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) if "# rows begin\n" not in block]
    script = directory / "restore.sh"
    script.write_text("\n".join(blocks))
    done = subprocess.run(
        ["/bin/bash", str(script)],
        cwd=directory,
        env={
            **parameters.environment(),
            "PATH": f"{directory}:{programs}:/usr/bin:/bin",
            "HOME": str(directory),
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def sums(databases: Databases, parameters: ConnectionParameters) -> dict[str, object]:
    """Return an order-independent sum over the rows of every table, materialised view and large object."""
    with databases.connect(parameters) as session:
        names = session.execute(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname IN ('app', 'public') AND c.relispopulated"
            # Rows of a table that is partitioned by an enum's hash lie in other partitions elsewhere.
            " AND c.relname !~ '^hashed_'"
        ).fetchall()
        found: dict[str, object] = {
            name: session.execute(
                f"SELECT count(*), sum(('x' || left(md5(t::text), 8))::bit(32)::bigint) FROM {name} t".encode()
            ).fetchone()
            for (name,) in names
        }
        found["large objects"] = session.execute(
            "SELECT array_agg(oid ORDER BY oid), array_agg(md5(lo_get(oid)) ORDER BY oid),"
            " array_agg(format('%s %s %s', pg_get_userbyid(lomowner), lomacl, obj_description(oid, 'pg_largeobject'))"
            " ORDER BY oid) FROM pg_largeobject_metadata"
        ).fetchone()
        found["sequences"] = session.execute(
            "SELECT array_agg(sequencename || coalesce(last_value, -1) ORDER BY sequencename) FROM pg_sequences"
        ).fetchone()
    return found


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("elsewhere")) as server:
        yield Databases(server)


def handbook_of(rig: Rig, point: RecoveryPoint) -> str:
    return rig.archive.read(ArchiveKeys(DATABASE).of_point(point.id, HANDBOOK)).decode()


@pytest.mark.parametrize("tools", TOOLS, indirect=True)
def test_the_handbook_restores_the_database_without_holdfast(
    databases: Databases, elsewhere: Databases, tools: Path, programs_directory: str
) -> None:
    rig = Rig(databases.create(SHOP))
    point = rig.backup()
    export(rig, tools)
    target = elsewhere.parameters(f"restored_{point.id[-6:]}")

    text = handbook_of(rig, point).replace("restored", target.dbname)
    said = run_handbook(text, tools, target, programs_directory)

    assert "Verified OK" in said
    assert sums(elsewhere, target) == sums(databases, rig.parameters)
    with databases.connect(rig.parameters) as one, elsewhere.connect(target) as other:
        assert same_structure(fingerprint(one), fingerprint(other))


def test_the_handbooks_of_schema_and_data_restore_the_database_together(
    databases: Databases, elsewhere: Databases, tools: Path, programs_directory: str
) -> None:
    rig = Rig(databases.create(SHOP))
    points = [rig.backup(Kind.SCHEMA), rig.backup(Kind.DATA)]
    export(rig, tools)
    target = elsewhere.parameters("together")

    for point in points:
        text = handbook_of(rig, point).replace("restored", "together")
        run_handbook(
            text.replace("mkdir -p restore && cd restore", "mkdir -p together && cd together"),
            tools,
            target,
            programs_directory,
        )

    assert sums(elsewhere, target) == sums(databases, rig.parameters)
    with databases.connect(rig.parameters) as one, elsewhere.connect(target) as other:
        assert same_structure(fingerprint(one), fingerprint(other))


def test_the_handbook_of_a_selection_restores_what_the_point_has(
    databases: Databases, elsewhere: Databases, tools: Path, programs_directory: str
) -> None:
    script = """
        CREATE SCHEMA a; CREATE TABLE users (id int PRIMARY KEY); INSERT INTO users VALUES (1);
        CREATE TABLE a.orders (id serial, user_id int REFERENCES users); INSERT INTO a.orders (user_id) VALUES (1), (1)
    """
    rig = Rig(databases.create(script), selection=Selection(include_tables=("a.orders",)))
    point = rig.backup()
    export(rig, tools)
    target = elsewhere.parameters("chosen")

    text = handbook_of(rig, point).replace("restored", "chosen")
    run_handbook(
        text.replace("mkdir -p restore && cd restore", "mkdir -p chosen && cd chosen"),
        tools,
        target,
        programs_directory,
    )

    assert "It has not all of the database (only: a.orders)" in text
    with elsewhere.connect(target) as session:
        found = session.execute("SELECT count(*), nextval('a.orders_id_seq') FROM a.orders").fetchone()
    assert found == (2, 3)


@pytest.mark.parametrize("tools", TOOLS, indirect=True)
def test_a_changed_manifest_stops_the_handbook(small: Rig, tools: Path, programs_directory: str) -> None:
    point = small.backup()
    key = ArchiveKeys(DATABASE).of_point(point.id, MANIFEST)
    text = handbook_of(small, point)
    small.archive.damage(key, small.archive.read(key).replace(b'"rows":1000', b'"rows":1001', 1))
    export(small, tools)

    with pytest.raises(AssertionError, match="Verification failure"):
        run_handbook(text, tools, small.parameters, programs_directory)


@pytest.mark.parametrize("tools", TOOLS, indirect=True)
def test_a_damaged_chunk_stops_the_handbook(databases: Databases, tools: Path, programs_directory: str) -> None:
    rig = Rig(databases.create("CREATE TABLE a AS SELECT n FROM generate_series(1, 10) n"))
    point = rig.backup()
    key = ArchiveKeys(DATABASE).chunk(rig.manifest(point.id).tables[0].chunks[0].sha256)
    rig.archive.damage(key, rig.archive.read(ArchiveKeys(DATABASE).chunk(key[-68:-4]))[:-1] + b"\0")
    export(rig, tools)
    text = rig.archive.read(ArchiveKeys(DATABASE).of_point(point.id, HANDBOOK)).decode()

    with pytest.raises(AssertionError, match=r"damaged|checksum"):
        run_handbook(text.replace("restored", f"stopped_{point.id[-6:]}"), tools, rig.parameters, programs_directory)


def test_a_page_that_the_manifest_does_not_vouch_for_stops_before_it_changes_anything(
    databases: Databases, tools: Path, programs_directory: str
) -> None:
    rig = Rig(databases.create("CREATE TABLE a AS SELECT n FROM generate_series(1, 10) n"))
    point = rig.backup()
    text = handbook_of(rig, point).replace("restored", f"forged_{point.id[-6:]}")
    export(rig, tools)
    (tools / "objects" / BUCKET / ArchiveKeys(DATABASE).of_point(point.id, HANDBOOK) / "latest").write_text(text)

    with pytest.raises(AssertionError, match=r"RESTORE\.md is not the page of this manifest"):
        run_handbook(text, tools, rig.parameters, programs_directory)

    with databases.connect(databases.parameters("postgres")) as session:
        assert session.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'forged%'").fetchone() == (0,)


def test_a_page_that_was_damaged_is_found_by_the_verification(databases: Databases) -> None:
    rig = Rig(databases.create("CREATE TABLE a (n int)"))
    point = rig.backup()
    rig.archive.damage(ArchiveKeys(DATABASE).of_point(point.id, HANDBOOK), b"# Drop it all")

    with pytest.raises(ArchiveDamaged, match=r"RESTORE\.md of .* is damaged"):
        rig.verify(point.id)
