"""What Neon's plans allow, as far as the API tells the plan and not the limit."""

from __future__ import annotations

from holdfast.adapters.neon.things import ProjectFacts

_FREE, _LARGER = "free", ("scale", "business", "direct_sales", "aws_marketplace")


def most_root_branches(facts: ProjectFacts) -> int:
    """Return how many branches without a parent there may be; where the plan is not told, as many as on Launch."""
    plan = facts.owner.subscription_type if facts.owner else ""
    if plan.startswith(_FREE):
        return 3
    return 25 if plan.startswith(_LARGER) else 5


def most_manual_snapshots(facts: ProjectFacts) -> int:
    """Return how many manual snapshots there may be."""
    plan = facts.owner.subscription_type if facts.owner else ""
    return 1 if plan.startswith(_FREE) else 100
