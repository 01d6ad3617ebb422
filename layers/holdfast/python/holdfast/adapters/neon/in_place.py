"""
Put a Neon branch itself back to a moment, its address unchanged.

Neon restores no protected branch, so the protection comes off for the restore and goes on again afterwards. What the
branch held before becomes a branch of its own, whose name tells later calls that the restore was taken.
"""

from __future__ import annotations

from datetime import datetime

from holdfast.adapters.neon.plans import most_root_branches
from holdfast.adapters.neon.project import NeonProject
from holdfast.adapters.neon.things import Branch
from holdfast.errors import HoldfastError, ProviderQuota, ProviderRefused, UnexpectedState
from holdfast.ports.providers import Progress


def restore_in_place(project: NeonProject, at: datetime, *, keep_as: str, protect: bool) -> Progress:
    """Ask for the restore, or look at the one that was asked for under this *keep_as*; protect again at its end."""
    with project.turn():
        branches = project.branches()
        source = project.source()
        if source.name == keep_as:
            raise UnexpectedState(
                f"Neon gave the restored branch another id than {source.id}.",
                hint="Put the branch's name instead of its id into holdfast.toml.",
            )
        found = project.progress(source.id, project.operations())
        if found is Progress.CREATING:
            return found
        taken_off = protect and not source.protected
        if all(each.name != keep_as for each in branches) and not (taken_off and found is Progress.FAILED):
            _begin(project, source, branches, at, keep_as=keep_as, protect=protect)
            return Progress.CREATING
        if taken_off:
            _protect(project, source)
        return found


def _begin(
    project: NeonProject, source: Branch, branches: list[Branch], at: datetime, *, keep_as: str, protect: bool
) -> None:
    _refuse_beyond_roots(project, source, branches)
    if source.parent_id is not None:
        raise ProviderRefused(
            f"The Neon branch {source.name} has a parent; Neon puts root branches back only.",
            hint="Restore beside it, and move the application there.",
        )
    if source.protected and not protect:
        raise ProviderRefused(
            f"The Neon branch {source.name} is protected.",
            hint="Protect it again after the restore: say so when asking.",
        )
    if source.protected:
        _set_protected(project, source, wanted=False)
    try:
        project.change(
            "POST",
            f"/branches/{source.id}/restore",
            {"source_branch_id": source.id, "source_timestamp": at.isoformat(), "preserve_under_name": keep_as},
        )
    except HoldfastError as error:
        _protect_after(project, source, error, wanted=protect)
        raise


def _protect_after(project: NeonProject, source: Branch, error: HoldfastError, *, wanted: bool) -> None:
    """
    Protect a branch again whose restore did not begin; what then goes wrong, too, is told with *error*.

    After silence nobody knows whether it began: Neon then answers that it is busy, and the next call goes on.
    """
    try:
        if wanted:
            _set_protected(project, source, wanted=True)
    except HoldfastError as second:
        error.add_note(f"The branch {source.name} is not protected any more: {second.message}")


def _protect(project: NeonProject, source: Branch) -> None:
    """Protect a branch, and read back that it is."""
    _set_protected(project, source, wanted=True)
    if not project.branch(source.id).protected:
        raise UnexpectedState(
            f"Neon took the protection of the branch {source.name}, but it is not protected.",
            hint="Protect it in Neon's console.",
        )


def _set_protected(project: NeonProject, branch: Branch, *, wanted: bool) -> None:
    project.change("PATCH", f"/branches/{branch.id}", {"branch": {"protected": wanted}})


def _refuse_beyond_roots(project: NeonProject, source: Branch, branches: list[Branch]) -> None:
    """Raise before anything is touched when the plan has no room for the branch that preserves the present."""
    roots = sum(each.parent_id is None for each in branches)
    most = most_root_branches(project.facts())
    if roots >= most:
        raise ProviderQuota(
            f"The Neon project has {roots} root branches, and its plan allows {most}: there is no room to keep what "
            f"{source.name} holds now.",
            hint="Delete a preserved branch that is no longer needed, or take a larger plan.",
        )
