"""Secrets of our own in Secrets Manager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_THERE = "ResourceExistsException"
_ABSENT = "ResourceNotFoundException"


class SecretsManagerVault:
    """`Vault` over Secrets Manager; what is written bears a tag with the *system* that it belongs to."""

    def __init__(self, client: SecretsManagerClient, system: str) -> None:
        self._client, self._system = client, system

    def write(self, name: str, text: str) -> None:
        """Create the secret, or give it a new version."""
        with translated(f"Writing the secret {name}"):
            try:
                self._client.create_secret(
                    Name=name,
                    Description="The login to a frozen copy; removed when its backup is over.",
                    SecretString=text,
                    Tags=[{"Key": "holdfast", "Value": self._system}],
                )
            except ClientError as error:
                if code_of(error) != _THERE:
                    raise
                self._client.put_secret_value(SecretId=name, SecretString=text)

    def remove(self, name: str) -> None:
        """Delete the secret without the usual time to think it over: the copy is gone, too."""
        with translated(f"Removing the secret {name}"):
            try:
                self._client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            except ClientError as error:
                if code_of(error) != _ABSENT:
                    raise

    def names(self, prefix: str) -> Sequence[str]:
        """List the secrets whose names begin so."""
        found: list[str] = []
        with translated(f"Listing the secrets {prefix}"):
            pages = self._client.get_paginator("list_secrets")
            for page in pages.paginate(Filters=[{"Key": "name", "Values": [prefix]}]):
                found += [each["Name"] for each in page["SecretList"]]
        return [name for name in found if name.startswith(prefix)]
