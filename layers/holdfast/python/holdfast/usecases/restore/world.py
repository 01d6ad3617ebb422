"""What every step of a restore asks of the world, and the documents that the steps leave each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from holdfast.adapters.counted_archive import CountedArchive
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.archive.reading import read_object
from holdfast.configuration import Configuration
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.message import Contract
from holdfast.contracts.restoring import RestorePlan
from holdfast.errors import UnexpectedState
from holdfast.model.keys import MANIFEST, RunKeys
from holdfast.ports.catalogue import Points, Restores
from holdfast.ports.executions import Executions
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.secrets import Secrets
from holdfast.ports.storage import Scratch, Versions

Document = TypeVar("Document", bound=Contract)

PLAN = "plan.json"
READING = "reading/"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """
    The ports, the configuration and the clock.

    *seconds_left* tells how long this invocation may still run; work that does not fit is left to the next.
    """

    archive: CountedArchive
    versions: Versions
    scratch: Scratch
    points: Points
    restores: Restores
    executions: Executions
    signer: Signer
    digest_keys: DigestKeys
    secrets: Secrets
    configuration: Configuration
    now: Callable[[], datetime]
    seconds_left: Callable[[], float]

    def plan(self, restore_id: str) -> RestorePlan:
        """Return the restore's plan; raises `UnexpectedState` when there is none."""
        return self.read(RestorePlan, restore_id, RunKeys("restore", restore_id).document(PLAN))

    def manifest(self, plan: RestorePlan) -> Manifest:
        """
        Return the manifest that was verified when the restore was assessed, or what of it is restored.

        Raises `ArchiveDamaged`.
        """
        if not plan.part.whole:
            return self.read(Manifest, plan.restore_id, RunKeys("restore", plan.restore_id).document(MANIFEST))
        return Manifest.model_validate_json(read_object(self.archive, plan.manifest))

    @contextmanager
    def counting(self, restore_id: str, step: str) -> Iterator[None]:
        """Write down how much of the archive is read within the block, also when it ends badly."""
        before = self.archive.read_so_far
        try:
            yield
        finally:
            key = RunKeys("restore", restore_id).document(f"{READING}{step}-{self.now():%Y%m%d%H%M%S%f}.json")
            self.write(key, self.archive.read_so_far - before)

    def read(self, kind: type[Document], restore_id: str, key: str) -> Document:
        """Return the document under *key*; raises `UnexpectedState` when it is missing."""
        return kind.model_validate_json(self.read_bytes(restore_id, key))

    def read_bytes(self, restore_id: str, key: str) -> bytes:
        """Return what the restore keeps under *key*; raises `UnexpectedState` when it is missing."""
        found = self.scratch.read(key)
        if found is None:
            raise UnexpectedState(
                f"The restore {restore_id} has no {key.split('/', 2)[-1]}.",
                hint="Plans are kept for some days only: start the restore again.",
                restore_id=restore_id,
            )
        return found

    def find(self, kind: type[Document], key: str) -> Document | None:
        """Return the document under *key*, if there is one."""
        body = self.scratch.read(key)
        return None if body is None else kind.model_validate_json(body)

    def write(self, key: str, document: Contract) -> None:
        """Store *document* under *key*."""
        self.scratch.write(key, document.model_dump_json().encode())

    def target(self, plan: RestorePlan) -> ConnectionParameters:
        """Return how to reach the database that the restore writes to, now: the secret may have been rotated."""
        return ConnectionParameters.from_secret(self.secrets.read(plan.secret)).with_database(plan.into)
