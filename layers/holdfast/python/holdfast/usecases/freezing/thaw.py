"""Remove the copy that a backup was taken of, and the login to it."""

from __future__ import annotations

from holdfast.contracts.freezing import Thawed, ThawRequest
from holdfast.model.keys import copy_secret
from holdfast.ports.catalogue import Points
from holdfast.ports.providers import Progress, Provider
from holdfast.ports.vault import Vault
from holdfast.usecases.freezing.naming import copy_name


def thaw(request: ThawRequest, *, system: str, provider: Provider, points: Points, vault: Vault) -> Thawed:
    """
    Ask the provider to remove the point's copy, found by its name; the login goes first.

    May be repeated: what is gone already is no error. Raises what the port raises, and the sweeper tries again.
    """
    point = points.get(request.point_id)
    vault.remove(copy_secret(system, point.database, point.id))
    name = copy_name(system, point)
    found = [each for each in provider.copies() if each.name == name and each.progress is not Progress.DELETING]
    removed = tuple(each.id for each in found if provider.delete_copy(each.id))
    return Thawed(database=point.database, point_id=point.id, removed=removed)
