"""What the functions of a run find behind their ports: directories, files and keys of the bench."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from bench.archive.catalogue import FileExecutions, FileHolds, FilePoints, FileRestores
from bench.archive.directory import DirectoryArchive, DirectoryScratch, DirectoryVersions
from holdfast.configuration import Configuration, load
from holdfast.errors import BadConfiguration
from holdfast.ports.catalogue import Holds, Points, Restores
from holdfast.ports.executions import Executions
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.secrets import Secrets
from holdfast.ports.storage import Archive, Scratch, Versions
from holdfast.settings import Settings
from holdfast.wiring import Wiring

DATABASE = "bench"
_TOML = """
[holdfast]
region = "eu-central-1"

[databases.{database}]
provider = "postgres"
concurrency = {workers}
"""


@dataclass(frozen=True)
class World:
    """One archive, its catalogue and the database that it is of, below *root*; written once, read by every worker."""

    root: Path
    url: str
    workers: int

    @classmethod
    def create(cls, root: Path, url: str, *, workers: int) -> World:
        """Make an empty world."""
        root.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        (root / "key.pem").write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        )
        for name in ("archive", "scratch"):
            (root / name).mkdir()
        (root / "holdfast.toml").write_text(_TOML.format(database=DATABASE, workers=workers))
        world = cls(root, url, workers)
        (root / "world.json").write_text(json.dumps({"url": url, "workers": workers}))
        (root / "world.json").chmod(0o600)
        return world

    @classmethod
    def read(cls, root: Path) -> World:
        """Return the world that was made in *root*."""
        return cls(root, **json.loads((root / "world.json").read_text()))

    @property
    def archive(self) -> DirectoryArchive:
        """Return the locked bucket."""
        return DirectoryArchive(self.root / "archive")

    @property
    def scratch(self) -> DirectoryScratch:
        """Return the bucket of plans."""
        return DirectoryScratch(self.root / "scratch")

    @property
    def points(self) -> FilePoints:
        """Return the catalogue's points."""
        return FilePoints(self.root / "catalogue")

    @property
    def executions(self) -> FileExecutions:
        """Return the answers to task tokens."""
        return FileExecutions(self.root / "catalogue")

    def configuration(self) -> Configuration:
        """Return what a deployed system would have been deployed with."""
        return load(self.root / "holdfast.toml")


class BenchWiring(Wiring):
    """The wiring of a function, over a world of the bench."""

    def __init__(self, world: World) -> None:
        super().__init__(Settings(), configured=world.configuration)
        self._world = world

    @cached_property
    def archive(self) -> Archive:
        """Return the locked bucket."""
        return self._world.archive

    @cached_property
    def versions(self) -> Versions:
        """Return every version in the locked bucket."""
        return DirectoryVersions(self._world.root / "archive")

    @cached_property
    def scratch(self) -> Scratch:
        """Return the bucket of plans and progress."""
        return self._world.scratch

    @cached_property
    def points(self) -> Points:
        """Return the catalogue's recovery points."""
        return self._world.points

    @cached_property
    def holds(self) -> Holds:
        """Return the catalogue's published snapshots."""
        return FileHolds(self._world.root / "catalogue")

    @cached_property
    def restores(self) -> Restores:
        """Return the catalogue's restores."""
        return FileRestores(self._world.root / "catalogue")

    @cached_property
    def signer(self) -> Signer:
        """Return the sealing key."""
        return _FileSigner(self._world.root / "key.pem")

    @cached_property
    def digest_keys(self) -> DigestKeys:
        """Return the base of content digests."""
        return _FixedDigestKeys()

    @cached_property
    def secrets(self) -> Secrets:
        """Return the one secret."""
        return _OneSecret(self._world.url)

    @cached_property
    def executions(self) -> Executions:
        """Return the run's answers."""
        return self._world.executions


class _FileSigner:
    """`Signer` over a key in a file."""

    def __init__(self, path: Path) -> None:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise BadConfiguration("The bench's key is of the wrong kind.")
        self._key = key

    def sign(self, sha256: bytes) -> bytes:
        """Return the signature."""
        return self._key.sign(sha256, ec.ECDSA(Prehashed(hashes.SHA256())))

    def public_key(self) -> bytes:
        """Return the public key as PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def known_keys(self) -> tuple[bytes, ...]:
        """Return the one key that there is."""
        return (self.public_key(),)


class _FixedDigestKeys:
    """`DigestKeys` over a fixed secret: the digests protect nothing here."""

    def digest_key(self, database: str) -> bytes:
        """Return the database's 32 bytes."""
        return hmac.new(b"a secret of the bench", database.encode(), hashlib.sha256).digest()


class _OneSecret:
    """`Secrets` with the source's URL under every name."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self, name: str) -> str:
        """Return the URL."""
        del name
        return self._url
