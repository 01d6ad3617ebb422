"""
What a function reads from its environment: one frozen model per kind of function.

Bad variables are reported all at once. Names and ARNs only: secrets never stand in an environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.errors import BadConfiguration

PREFIX = "HOLDFAST_"

Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Table = Annotated[str, Field(pattern=r"^(arn:[^:]+:dynamodb:[^:]+:\d+:table/)?[A-Za-z0-9_.-]{3,255}$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
Key = Annotated[str, Field(pattern=r"^arn:[^:]+:kms:[^:]+:\d+:(key|alias)/.+$")]

_SHAPES = {
    "archive_bucket": "the name of a bucket",
    "scratch_bucket": "the name of a bucket",
    "catalogue_table": "the name of a table",
    "signing_key": "the ARN of a KMS key",
    "digest_key": "the ARN of a KMS key",
    "replica_bucket": "the name of a bucket",
    "neon_endpoint": "an address",
}


class Settings(BaseModel):
    """Every variable that some function has; each kind narrows it to those that its functions cannot do without."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    archive_bucket: Bucket | None = None
    scratch_bucket: Bucket | None = None
    catalogue_table: Table | None = None
    signing_key: Key | None = None
    digest_key: Key | None = None
    replica_bucket: Bucket | None = None
    """The archive's copy in the second region, for functions that look at it; only where there is one."""
    neon_endpoint: Url | None = None
    """Where Neon's API is, when it is not Neon's own; only the local system sets it."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the model from *environment*; raises `BadConfiguration` naming every variable that is wrong."""
        values = {name: environment.get(cls.variable(name)) or None for name in cls.model_fields}
        try:
            return cls.model_validate({name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            faults = {str(fault["loc"][0]): fault["type"] for fault in error.errors(include_url=False)}
        sentences = [
            f"{cls.variable(name)} is {'missing' if kind == 'missing' else 'not ' + _SHAPES[name]}"
            for name, kind in faults.items()
        ]
        raise BadConfiguration(
            f"The function's environment is wrong: {'; '.join(sentences)}.",
            hint="Deploy the system again; its app sets these variables.",
        )

    @staticmethod
    def variable(name: str) -> str:
        """Return the environment variable of the field *name*."""
        return PREFIX + name.upper()

    @classmethod
    def required(cls) -> frozenset[str]:
        """Return the variables without which a function of this kind does not start; the app must set them."""
        return frozenset(cls.variable(name) for name, field in cls.model_fields.items() if field.is_required())


class CatalogueSettings(Settings):
    """Functions that only read and write the catalogue: `snapshot.start`, `snapshot.hold`, `snapshot.fail`."""

    catalogue_table: Table


class CopySettings(Settings):
    """Functions that plan and copy, `snapshot.plan` and `snapshot.dump`, `retention.collect` and `retention.prune`."""

    archive_bucket: Bucket
    scratch_bucket: Bucket
    catalogue_table: Table


class SealSettings(CopySettings):
    """`snapshot.seal`, the only function that may sign."""

    signing_key: Key


class VerifySettings(SealSettings):
    """Functions of `verify`: they read the public key, and digest rows."""

    digest_key: Key


class RebuildSettings(VerifySettings):
    """`catalogue.rebuild`: it checks seals and verifications, and writes points."""


class RestoreSettings(VerifySettings):
    """Functions of `restore`: they check signatures and digest what they restored."""
