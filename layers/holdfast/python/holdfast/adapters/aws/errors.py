"""What AWS's error codes mean to us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from holdfast.errors import BadConfiguration, HoldfastError, StorageThrottled, UnexpectedState

_LATER = frozenset(
    {
        "503",
        "500",
        "DependencyTimeoutException",
        # Lambda gives a function fresh credentials: the next attempt has them.
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "KMSInternalException",
        "KeyUnavailableException",
        "LimitExceededException",
        "OperationAborted",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SETTING_WRONG = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AllAccessDisabled",
        "DisabledException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "KMSInvalidStateException",
        "NoSuchBucket",
        "NotFoundException",
        "ResourceNotFoundException",
        "SignatureDoesNotMatch",
        "StateMachineDoesNotExist",
        "UnrecognizedClientException",
    }
)


def code_of(error: ClientError) -> str:
    """Return the vendor's code of *error*."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(action: str, known: Mapping[str, type[HoldfastError]] | None = None) -> Iterator[None]:
    """
    Raise our errors for those of AWS within the block.

    *action* begins the sentence ("Reading shop/points/… from the archive"); *known* maps codes that
    mean something of their own here. A code that we do not know is permanent, and says so.
    """
    try:
        yield
    except ClientError as error:
        raise _translation(action, error, known or {}) from error
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        raise BadConfiguration(
            f"{action} failed: AWS credentials or region are missing.", hint="Set AWS_REGION and credentials."
        ) from error
    except (HTTPClientError, IncompleteReadError) as error:
        raise StorageThrottled(f"{action} failed: the service did not answer ({type(error).__name__}).") from error
    except BotoCoreError as error:
        raise UnexpectedState(f"{action} failed: {type(error).__name__}.") from error


def _translation(action: str, error: ClientError, known: Mapping[str, type[HoldfastError]]) -> HoldfastError:
    """Return our error for a vendor's; its text is left out, since services quote what they were sent."""
    code, call = code_of(error), error.operation_name
    request = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    if code in known:
        return known[code](f"{action} failed: {code}.", code=code, request=request)
    if code in _LATER:
        return StorageThrottled(f"{action} was put off: {code}.", code=code, request=request)
    if code in _SETTING_WRONG:
        return BadConfiguration(
            f"{action} was refused: {code}.",
            hint=f"Check that it exists in this region and that the role may call {call} on it and use its key.",
            code=code,
            request=request,
        )
    return UnexpectedState(
        f"{action} failed: {call} answered {code or 'nothing that we know'}.", code=code, request=request
    )
