"""
What every Lambda function does around its use case: validate, log, trace, count, and let errors out.

```python
@handles(PointRequest)
def handler(request: PointRequest, context: LambdaContext) -> Planned:
    return plan_backup(request, ...)
```
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from holdfast.contracts.message import Contract
from holdfast.errors import BadRequest, HoldfastError, UnexpectedState

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics, Tracer
    from aws_lambda_powertools.utilities.typing import LambdaContext

Request = TypeVar("Request", bound=Contract)
Answer = TypeVar("Answer", bound=Contract)

# Fields of requests that say what a log line, a trace or an error belongs to.
_IDS = ("database", "point_id", "restore_id", "run", "execution", "stage", "batch", "generation")


@cache
def logger() -> Logger:
    """Return the process's JSON logger; its service is set by the construct."""
    from aws_lambda_powertools import Logger

    return Logger(log_uncaught_exceptions=False)


@cache
def metrics() -> Metrics:
    """Return the process's metrics; handlers may add their own."""
    from aws_lambda_powertools import Metrics

    return Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "holdfast"))


@cache
def tracer() -> Tracer:
    """Return the process's tracer, which is off outside Lambda and where POWERTOOLS_TRACE_DISABLED says so."""
    from aws_lambda_powertools import Tracer

    return Tracer(patch_modules=["botocore"])


def handles(model: type[Request]) -> Callable[[Callable[[Request, LambdaContext], Answer]], Callable[..., Any]]:
    """
    Make a Lambda handler of a function that takes a valid *model* and returns a contract.

    Errors leave as they are: their class names are what the state machine matches. Anything that is not
    one of ours leaves as `UnexpectedState` without its text, which may quote rows or parameters.
    """

    def decorate(function: Callable[[Request, LambdaContext], Answer]) -> Callable[..., Any]:
        @wraps(function)
        def handler(event: object, context: LambdaContext) -> Any:
            return _observed(function, model, event, context)

        return handler

    return decorate


def _observed(
    function: Callable[[Request, LambdaContext], Answer], model: type[Request], event: object, context: LambdaContext
) -> Any:
    """Answer *event* with the process's logger, tracer and metrics around it."""

    def answer(event: object, context: LambdaContext) -> Any:
        request = validated(model, event)
        ids = _ids(request)
        logger().append_keys(**ids)
        for name, value in ids.items():
            tracer().put_annotation(name, value)
        return function(request, context).model_dump(mode="json")

    observed = logger().inject_lambda_context(_reporting(answer), log_event=False, clear_state=True)
    try:
        # Powertools' own decorator would log every error a second time, with the text of what caused it.
        with tracer().provider.in_subsegment(name=f"## {function.__name__}"):
            return observed(event, context)
    finally:
        if metrics().metric_set:
            metrics().flush_metrics()


def validated(model: type[Request], event: object) -> Request:
    """
    Return *event* as a *model*.

    Raises `BadRequest` naming each field that is wrong; values are never repeated, they may be secrets.
    """
    try:
        return model.model_validate(event)
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors(include_input=False)]
    raise BadRequest(f"The request is not a valid {model.__name__}: {'; '.join(faults)}.")


def _fault(path: tuple[int | str, ...], kind: str, message: str) -> str:
    """Return what is wrong with one field; messages of validators of our own may quote values, so only pydantic's."""
    field = ".".join(str(part) for part in path) or "the event"
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is not a known field"
    if kind in {"value_error", "assertion_error"}:
        return f"{field} is not valid"
    return f"{field}: {message[:1].lower()}{message[1:]}"


def _reporting(answer: Callable[[object, LambdaContext], Any]) -> Callable[[object, LambdaContext], Any]:
    """Log an error of *answer* once, with its ids, on its way out."""

    def reporting(event: object, context: LambdaContext) -> Any:
        try:
            return answer(event, context)
        except HoldfastError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # it leaves as one of ours
            frames = [
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            failure = UnexpectedState(f"{type(error).__name__} at {frames[-1]}.", frames=frames)
            failure.__cause__ = error
        details = {name: value for name, value in failure.ids.items() if value is not None}
        logger().error(failure.message, error=type(failure).__name__, hint=failure.hint, ids=details)
        raise failure

    return reporting


def _ids(request: Contract) -> dict[str, Any]:
    """Return the ids that *request* has."""
    found = {name: getattr(request, name, None) for name in _IDS}
    return {name: value for name, value in found.items() if value is not None}
