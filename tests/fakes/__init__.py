"""The ports in memory; each passes the contract suite of the real adapter (tests/ports)."""

from fakes.catalogue import MemoryHolds, MemoryPoints, MemoryRestores
from fakes.executions import MemoryExecutions
from fakes.keys import MemoryDigestKeys, MemorySigner
from fakes.secrets import MemorySecrets
from fakes.storage import MemoryArchive, MemoryScratch
from fakes.vault import MemoryVault

__all__ = [
    "MemoryArchive",
    "MemoryDigestKeys",
    "MemoryExecutions",
    "MemoryHolds",
    "MemoryPoints",
    "MemoryRestores",
    "MemoryScratch",
    "MemorySecrets",
    "MemorySigner",
    "MemoryVault",
]
