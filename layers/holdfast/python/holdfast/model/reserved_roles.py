"""
Roles that a provider keeps for itself: no administrator may create them, and only the provider's own servers have them.

PostgreSQL reserves `pg_`; the others are those that RDS and Aurora, Neon, Azure, Cloud SQL, AlloyDB and Aiven document.
"""

from __future__ import annotations

_PREFIXES = ("pg_", "rds_", "azure_", "cloudsql", "alloydb", "neon_")
_NAMES = {"rdsadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser", "azuresu", "cloud_admin", "_aiven"}


def is_reserved(name: str) -> bool:
    """Answer whether *name* is a role that no restore creates."""
    return name in _NAMES or name.startswith(_PREFIXES)
