"""
Show that the template deployed here is the template for AWS.

The app is synthesized once for AWS and once for this machine; the two may differ only in what follows
from another processor and Python: architecture, runtime, and the packages built for them. Anything else
would mean that what is tested here is not what is deployed there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

ALLOWED = (
    re.compile(r"Resources/[^/]+/Properties/(Architectures|CompatibleArchitectures|CompatibleRuntimes)(/\d+)?"),
    re.compile(r"Resources/[^/]+/Properties/Runtime"),
    re.compile(r"Resources/[^/]+/Properties/(Code|Content)/S3Key"),
)
"""Paths that may differ: what a package is built for, and the key that its content's hash names."""


def differences(for_aws: dict[str, Any], for_host: dict[str, Any]) -> list[str]:
    """
    List the paths at which two templates differ beyond what is allowed; empty when they are the same.

    A path names the logical id and the property: `Resources/Archive/Properties/BucketEncryption`.
    """
    return [path for path in _different(for_aws, for_host, "") if not _allowed(path)]


def allowed_differences(for_aws: dict[str, Any], for_host: dict[str, Any]) -> list[str]:
    """List the paths at which two templates differ as they may."""
    return [path for path in _different(for_aws, for_host, "") if _allowed(path)]


def _allowed(path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in ALLOWED)


def _different(one: Any, other: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{path}/{key}" if path else key
            if key in one and key in other:
                yield from _different(one[key], other[key], inner)
            else:
                yield inner
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _different(left, right, f"{path}/{index}")
    elif one != other:
        yield path
