"""Take, restore and delete snapshots."""

from __future__ import annotations

from holdfast_local.history import Moment
from holdfast_local.neon.errors import Refused
from holdfast_local.neon.operations import Step
from holdfast_local.neon.project import Project, expiry, new_id, now, size_of, storage_of
from holdfast_local.neon.things import Branch, Document, Operation, Snapshot, moment


class Freezing:
    """What the API does with the snapshots of a project; methods raise `Refused` as Neon does."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def create(
        self, branch: Branch, *, name: str | None, time: str | None, lsn: str | None, expires_at: str | None
    ) -> tuple[Snapshot, list[Operation]]:
        """Take a snapshot of a root branch, of now or of a moment of its history."""
        self._project.operations.refuse_while_busy()
        if not branch.is_root:
            raise Refused(422, "snapshots can be created for root branches only")
        if sum(each.manual for each in self._project.snapshots.values()) >= self._project.limits.manual_snapshots:
            raise Refused(422, "snapshots limit exceeded", code="SNAPSHOTS_LIMIT_EXCEEDED")
        at = self._project.moment_of(branch, time, lsn)
        snapshot = Snapshot(
            id=new_id("snap"),
            name=name or f"{branch.name} at {moment(now())}",
            source_branch_id=branch.id,
            created_at=now(),
            timestamp=at.time or now(),
            lsn=at.lsn,
            expires_at=expiry(expires_at, longest=None),
        )
        self._project.snapshots[snapshot.id] = snapshot
        step = Step(action="create_timeline", branch_id=branch.id, work=lambda: self._freeze(snapshot, branch, at))
        return snapshot, self._project.operations.schedule([step])

    def delete(self, snapshot: Snapshot) -> list[Operation]:
        """Delete a snapshot for good."""
        self._project.operations.refuse_while_busy()

        def work() -> None:
            del self._project.snapshots[snapshot.id]
            storage_of(snapshot).remove()

        return self._project.operations.schedule([Step(action="delete_timeline", work=work)])

    def restore(self, snapshot: Snapshot, wanted: Document) -> tuple[Branch, list[Operation]]:
        """Make a root branch of a snapshot; with `finalize_restore` it takes the target branch's place at once."""
        self._project.operations.refuse_while_busy()
        self._project.refuse_root_beyond_limit()
        target = self._project.branch(wanted.get("target_branch_id") or snapshot.source_branch_id)
        branch = Branch(
            id=new_id("br"),
            project_id=self._project.id,
            name=wanted.get("name") or f"{target.name} from {snapshot.name}",
            created_at=now(),
            restored_from=snapshot.id,
            restored_as=target.id,
            restore_status="restored",
        )
        self._project.refuse_taken(branch.name)
        self._project.branches[branch.id] = branch
        steps = [Step(action="create_branch", branch_id=branch.id, work=lambda: self._thaw(branch, snapshot))]
        if wanted.get("finalize_restore"):
            steps += self._finalizing(branch, target, None)
        return branch, self._project.operations.schedule(steps)

    def finalize(self, branch: Branch, name: str | None) -> list[Operation]:
        """Let a branch that a snapshot was restored to take the place of the branch that it was restored as."""
        self._project.operations.refuse_while_busy()
        if branch.restore_status != "restored" or branch.restored_as is None:
            raise Refused(422, "branch is not a restored one or is finalized already")
        return self._project.operations.schedule(
            self._finalizing(branch, self._project.branch(branch.restored_as), name)
        )

    def _freeze(self, snapshot: Snapshot, branch: Branch, at: Moment) -> None:
        snapshot.storage = storage_of(branch).restore(self._project.place(), at)
        snapshot.passwords = dict(branch.passwords)
        snapshot.storage.start()
        snapshot.full_size = size_of(snapshot.storage)
        snapshot.storage.stop()

    def _thaw(self, branch: Branch, snapshot: Snapshot) -> None:
        branch.storage = storage_of(snapshot).restore(self._project.place(), Moment())
        branch.passwords = dict(snapshot.passwords)
        branch.storage.start()
        branch.logical_size = size_of(branch.storage)
        branch.storage.stop()
        branch.state = "ready"

    def _finalizing(self, branch: Branch, target: Branch, name: str | None) -> list[Step]:
        def work() -> None:
            storage_of(target).stop()
            restored = target.name
            target.name, branch.name = name or f"{restored} (old)", restored
            branch.protected, target.protected = target.protected, False
            branch.default, target.default = target.default, False
            branch.restore_status = "finalized"
            for each in self._project.endpoints_of(target):
                each.branch_id = branch.id

        computes = self._project.endpoints_of(target)
        return [
            Step(action="swap_binding_id", branch_id=branch.id, work=work),
            *(self._project.starting(branch, each) for each in computes),
        ]
