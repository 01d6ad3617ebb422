"""Connection parameters in Secrets Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated
from holdfast.errors import BadConfiguration

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_CONTENT = "Store a connection URL in it, or JSON with host, port, username, password and dbname."
_ABSENT = {"ResourceNotFoundException"}
_REFUSED = {"AccessDeniedException", "DecryptionFailure", "InvalidRequestException", "InvalidParameterException"}


class SecretsManager:
    """`Secrets` over Secrets Manager; never cached, so that a rotated password is used at once."""

    def __init__(self, client: SecretsManagerClient) -> None:
        self._client = client

    def read(self, name: str) -> str:
        """Return the text of the secret's current version."""
        with translated(f"Reading the secret {name}"):
            try:
                text = self._client.get_secret_value(SecretId=name).get("SecretString")
            except ClientError as error:
                raise _unreadable(name, error) from error
        if not text:
            raise BadConfiguration(f"The secret {name} has no text.", hint=_CONTENT, secret=name)
        return text


def _unreadable(name: str, error: ClientError) -> Exception:
    """Return what an operator must know about a secret that cannot be read; other errors as they are."""
    code = code_of(error)
    if code in _ABSENT:
        return BadConfiguration(f"The secret {name} does not exist in this region.", hint=_CONTENT, secret=name)
    if code in _REFUSED:
        return BadConfiguration(
            f"The secret {name} may not be read ({code}).",
            hint="Check that it is not being deleted, and that the function's role may read it and use its key.",
            secret=name,
        )
    return error
