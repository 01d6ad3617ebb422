"""What AWS's refusals mean to an operator, wherever they surfaced."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from holdfast.errors import HoldfastError
from holdfast_cli.errors import AccessDenied, SystemUnreachable

_DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_SIGN_IN = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"}
)
_ABSENT = frozenset({"StateMachineDoesNotExist", "ResourceNotFoundException", "NoSuchBucket"})


def for_operator(error: BaseException) -> HoldfastError | None:
    """
    Return *error* as what it means to the caller of the command, or None if it is no refusal of AWS.

    Adapters translate for functions, whose role or deployment is at fault; for people it is their own
    credentials and network. Hence the look at the vendor's error behind ours.
    """
    vendor = _vendor_error(error)
    if isinstance(vendor, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return AccessDenied("There are no AWS credentials.", hint="Sign in, or set AWS_PROFILE.")
    if isinstance(vendor, SSOError | TokenRetrievalError | CredentialRetrievalError):
        return AccessDenied("Your AWS credentials have expired or are wrong.", hint="Sign in again.")
    if isinstance(vendor, HTTPClientError | NoConnection):
        return SystemUnreachable(f"The system does not answer ({type(vendor).__name__}).")
    if isinstance(vendor, ClientError):
        return _refusal(vendor)
    return None


def _refusal(error: ClientError) -> HoldfastError | None:
    code, call = str(error.response["Error"].get("Code", "")), error.operation_name
    if code in _DENIED:
        return AccessDenied(f"You may not call {call} here.", code=code)
    if code in _SIGN_IN:
        return AccessDenied("Your AWS credentials have expired or are wrong.", hint="Sign in again.", code=code)
    if code in _ABSENT:
        return SystemUnreachable(f"{call} found nothing: is this system deployed in this region?", code=code)
    return None


def _vendor_error(error: BaseException | None) -> BaseException | None:
    while error is not None and not isinstance(error, ClientError | BotoCoreError):
        error = error.__cause__
    return error
