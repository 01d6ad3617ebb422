"""Messages of the `restore` state machine."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from holdfast.contracts.message import Contract
from holdfast.contracts.work import Items
from holdfast.model.points import Kind

Pattern = Annotated[str, Field(min_length=1, max_length=256)]


class RestoreRequest(Contract):
    """
    What starts a restore, from the command, the console or `aws stepfunctions start-execution`.

    *point* is `latest`, `latest-proven` or a point's id. *into* is the name of the new database.
    *target_secret* names the secret of another server; without it the source's own server is taken.
    *kind* is what is restored of the point; without it, all that the point has. *tables* and *schemas* are patterns
    of what is wanted of it; with them, *into* may be a database that has other tables.
    *plan_only* ends the run when the plan is made.
    *execution* and *execution_started_at* are added by the first state from its own context.
    """

    database: str = Field(min_length=1, max_length=64)
    point: str = Field(default="latest", min_length=1, max_length=128)
    into: str = Field(min_length=1, max_length=63, pattern=r"^[^\x00-\x1f\x7f]+$")
    target_secret: str | None = Field(default=None, max_length=512)
    kind: Kind | None = None
    tables: tuple[Pattern, ...] = Field(default=(), max_length=1000)
    schemas: tuple[Pattern, ...] = Field(default=(), max_length=1000)
    plan_only: bool = Field(default=False, strict=True)
    reason: str = Field(default="", max_length=256)
    execution: str
    execution_started_at: datetime


class Stage(Contract):
    """Batches that may run side by side; stages run one after the other."""

    name: str
    items: Items


class Assessed(Contract):
    """
    The restore may begin; nothing has been touched yet. The plan lies in the scratch bucket.

    *prepare* are the stages before rows are loaded, *finish* those after. With *plan_only* it is not to begin.
    """

    restore_id: str
    database: str
    point_id: str
    into: str
    concurrency: int
    load: Items
    prove: Items
    slices_before: int
    finish: tuple[Stage, ...]
    plan_only: bool = False


class RestoreStep(Contract):
    """Something to do with one restore as a whole."""

    restore_id: str


class PrepareRequest(Contract):
    """Create the database when *slice* is 0, then run that slice of the schema before rows."""

    restore_id: str
    slice: int = Field(ge=0)


class Prepared(Contract):
    """The slice is done; go on with *slice* unless *done*."""

    restore_id: str
    slice: int
    done: bool


class BatchRequest(Contract):
    """One batch of the stage *stage* of a restore."""

    restore_id: str
    stage: str
    batch: int


class Proof(Contract):
    """Whether the restored database equals the archive; *differences* are sentences that name what differs."""

    restore_id: str
    proven: bool
    reason: str
    tables: int
    rows: int
    differences: tuple[str, ...] = ()


class Validation(Contract):
    """Whether the operator's own checks passed; *failures* are sentences."""

    restore_id: str
    passed: bool
    checks: int
    failures: tuple[str, ...] = ()


class ReportRequest(Contract):
    """End a restore: *error* and *cause* are empty when every state before succeeded."""

    execution: str
    database: str
    restore_id: str | None = None
    error: str = ""
    cause: str = ""


class Report(Contract):
    """
    Where the report lies, what it says in one sentence, and what else a person has to know.

    *notes* are the first of *notes_in_all* sentences; the report has all of them. *bytes_read* were read of chunks,
    which have *bytes_of_point* in all; *bytes_beside* of manifest, verification, schema dump and roles.
    """

    restore_id: str | None
    succeeded: bool
    sentence: str
    bucket: str = ""
    key: str = ""
    notes: tuple[str, ...] = ()
    notes_in_all: int = 0
    bytes_read: int = 0
    bytes_beside: int = 0
    bytes_of_point: int = 0
