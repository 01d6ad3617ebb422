"""Exceptions to cdk-nag's rules: each with a reason, each on the one construct that it concerns."""

from __future__ import annotations

from collections.abc import Mapping

from cdk_nag import NagPackSuppression, NagSuppressions, RegexAppliesTo
from constructs import IConstruct


def waive(construct: IConstruct, reasons: Mapping[str, str], *, children: bool = False) -> None:
    """Suppress the rules of *reasons* on *construct* (and its *children*)."""
    NagSuppressions.add_resource_suppressions(
        construct, [NagPackSuppression(id=rule, reason=reason) for rule, reason in reasons.items()], children
    )


def waive_wildcards(construct: IConstruct, reasons: Mapping[str, str]) -> None:
    """Suppress AwsSolutions-IAM5 on *construct* for resources that match these patterns only, each with its reason."""
    NagSuppressions.add_resource_suppressions(
        construct,
        [
            NagPackSuppression(
                id="AwsSolutions-IAM5", reason=reason, applies_to=[RegexAppliesTo(regex=f"/^Resource::{pattern}$/g")]
            )
            for pattern, reason in reasons.items()
        ],
    )
