"""Where things lie in the archive and scratch buckets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveKeys:
    """
    The keys of one database's archive in the locked bucket.

    Chunks are shared by all points of a database and named by their content; everything else of a
    point lies under its id.
    """

    database: str

    def chunk(self, sha256: str) -> str:
        """Return the key of the chunk whose plain bytes have this SHA-256 (hex)."""
        return f"{self.database}/chunks/{sha256[:2]}/{sha256}.zst"

    def of_point(self, point: str, name: str) -> str:
        """Return the key of the object *name* (manifest.json, schema.dump, …) of a point."""
        return f"{self.database}/points/{point}/{name}"

    def point(self, point: str) -> str:
        """Return the prefix of everything of a point but its chunks."""
        return f"{self.points}{point}/"

    @property
    def chunks(self) -> str:
        """Return the prefix of all chunks."""
        return f"{self.database}/chunks/"

    @property
    def points(self) -> str:
        """Return the prefix of everything else."""
        return f"{self.database}/points/"

    def receipt(self, run: str) -> str:
        """Return the key of the receipt for what the collection *run* removed."""
        return f"{self.database}/collections/{run}.json"

    def removal(self, point: str, number: int = 0) -> str:
        """Return the key of what is about to be removed of an expired point, written before the first of it goes."""
        return f"{self._deletion(point, number)}.begun.json"

    def removed(self, point: str, number: int = 0) -> str:
        """Return the key of the receipt for what was removed of an expired point; *number* counts from 0."""
        return f"{self._deletion(point, number)}.json"

    def protection(self, run: str) -> str:
        """Return the key of the receipt for what the run protected, or let go."""
        return f"{self.database}/protections/{run}.json"

    def _deletion(self, point: str, number: int) -> str:
        return f"{self.database}/deletions/{point}" + (f"-{number + 1}" if number else "")


def is_chunk(key: str) -> bool:
    """Answer whether *key* is that of a chunk."""
    return "/chunks/" in key


def copy_secret(system: str, database: str, point: str) -> str:
    """Return the name of the secret with the login to the copy that an archive is taken of."""
    return f"{copy_secrets(system)}{database}/{point}"


def copy_secrets(system: str) -> str:
    """Return what the names of all such secrets of a system begin with."""
    return f"{system}/copies/"


MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
PUBLIC_KEY = "public-key.pem"
SCHEMA = "schema.dump"
GLOBALS = "globals.sql"
ROLES = "roles.json"
HANDBOOK = "RESTORE.md"
VERIFICATION = "verification.json"


def vouching_name(sha256: str) -> str:
    """Return the name of what vouches for the verification with this SHA-256: each has its own, none is replaced."""
    return f"verification-{sha256[:16]}.mac"


def backup_run(point: str, attempt: int = 1) -> str:
    """
    Return the run, in the scratch bucket, of one attempt to capture a point.

    Each attempt has a snapshot of its own: nothing that an earlier one planned or captured may count in it.
    """
    return point if attempt == 1 else f"{point}/attempt-{attempt}"


def name_in(attempt: int, name: str) -> str:
    """Return the name of an object of a point that *attempt* writes: what an earlier one wrote is locked."""
    return name if attempt == 1 else f"attempt-{attempt}-{name}"


def steps_key(database: str) -> str:
    """Return the key, in the scratch bucket, of how the last backup of *database* cut its tables."""
    return f"backup/steps/{database}.json"


@dataclass(frozen=True, slots=True)
class RunKeys:
    """
    The keys of one run's plan and progress in the scratch bucket, which has no lock.

    *workflow* is `backup`, `verify`, `restore`, `collect`, `prune` or `protect`; *run* is unique within it.
    """

    workflow: str
    run: str

    def document(self, name: str) -> str:
        """Return the key of a document of the run, for example `plan.json`."""
        return f"{self.workflow}/{self.run}/{name}"

    def items(self, stage: str) -> str:
        """Return the key of the JSON array that a Distributed Map reads for *stage*."""
        return self.document(f"{stage}/items.json")

    def batch(self, stage: str, number: int, plan: str = "") -> str:
        """Return the key of what batch *number* of *stage* has to do; of *plan*, where several may be written."""
        return self.document(f"{stage}/batches/{plan and f'{plan}/'}{number:06d}.json")

    def result(self, stage: str, number: int) -> str:
        """Return the key of what batch *number* of *stage* did; it exists only when all of it is done."""
        return self.document(f"{stage}/results/{number:06d}.json")

    def definitions(self, mark: str) -> str:
        """Return the key of the part of the schema dump that the slice with *mark* runs."""
        return self.document(f"definitions/{mark}.dump")

    def progress(self, stage: str, number: int) -> str:
        """Return the key of what batch *number* of *stage* is at; only those have one that take long."""
        return f"{self.all_progress()}{stage}/{number:06d}.json"

    def partial(self, stage: str, number: int) -> str:
        """Return the key of what batch *number* of *stage* has done when its invocation ended; nobody shows it."""
        return self.document(f"partial/{stage}/{number:06d}.json")

    def all_progress(self) -> str:
        """Return what the keys of everything that takes long begin with."""
        return self.document("progress/")
