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
    System,
    Target,
)
from holdfast.configuration.places import AuroraPlace, NeonPlace, Provider, RdsPlace, VercelPlace
from holdfast.configuration.reading import deployed, json_schema, load, parse
from holdfast.configuration.tiers import TierPlan, Tiers

__all__ = [
    "INTERNET",
    "Archiving",
    "AuroraPlace",
    "Check",
    "Configuration",
    "Database",
    "Functions",
    "Monitoring",
    "NeonPlace",
    "Network",
    "Provider",
    "RdsPlace",
    "System",
    "Target",
    "TierPlan",
    "Tiers",
    "VercelPlace",
    "deployed",
    "json_schema",
    "load",
    "parse",
]
