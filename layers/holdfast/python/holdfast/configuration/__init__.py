"""
`holdfast.toml`: what is protected, where and when.

One model for the CDK app, the command, the local system and the functions. The app reads the file with
`load`; functions read the normalised document that they were deployed with by `deployed`.
"""

from holdfast.configuration.models import (
    INTERNET,
    Archiving,
    Check,
    Configuration,
    Database,
    Functions,
    Monitoring,
    Network,
    Provider,
    System,
    Target,
    TierPlan,
    Tiers,
)
from holdfast.configuration.reading import deployed, json_schema, load, parse

__all__ = [
    "INTERNET",
    "Archiving",
    "Check",
    "Configuration",
    "Database",
    "Functions",
    "Monitoring",
    "Network",
    "Provider",
    "System",
    "Target",
    "TierPlan",
    "Tiers",
    "deployed",
    "json_schema",
    "load",
    "parse",
]
