"""Find out how large the pinned versions of chunks are, with few requests however many chunks there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor

from holdfast.contracts.manifest import Chunk
from holdfast.model.keys import ArchiveKeys
from holdfast.ports.storage import Archive, Versions

PER_PAGE = 50
"""
Versions that must be wanted for each page of a list. A page names up to a thousand, and costs as much as asking for
some forty: reading its XML takes a CPU 80 ms.
"""
_LOOKERS = 16

Name = tuple[str, str]
"""Key and version."""


def sizes_of(
    chunks: Iterable[Chunk],
    keys: ArchiveKeys,
    archive: Archive,
    versions: Versions,
    *,
    before_each: Callable[[], None] | None = None,
) -> Mapping[Name, int]:
    """
    Return the sizes of the versions that *chunks* pin, of those that are there.

    Chunks lie evenly in 256 folders. Where many of one are wanted, it is listed, as long as that is fewer requests
    than asking for each version by itself: the archive may hold many more than one point needs. *before_each* request
    is called, and may raise what ends the look.
    """
    folders: dict[str, set[Name]] = defaultdict(set)
    for chunk in chunks:
        key = keys.chunk(chunk.sha256)
        folders[key.rpartition("/")[0] + "/"].add((key, chunk.version_id))

    def look(folder: tuple[str, set[Name]]) -> Mapping[Name, int]:
        return _sizes_in(*folder, archive, versions, before_each or (lambda: None))

    with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="look") as pool:
        return {name: size for found in pool.map(look, folders.items()) for name, size in found.items()}


def _sizes_in(
    folder: str, wanted: Set[Name], archive: Archive, versions: Versions, before_each: Callable[[], None]
) -> Mapping[Name, int]:
    found, after = dict[Name, int](), ""
    for _ in range(len(wanted) // PER_PAGE):
        before_each()
        page = versions.page(folder, after)
        named = {(one.key, one.version_id): one.size for one in page.versions if not one.marker}
        found |= {name: size for name, size in named.items() if name in wanted}
        if page.after is None:
            return found
        after = page.after
    for key, version in wanted - found.keys():
        before_each()
        if (size := archive.size(key, version)) is not None:
            found[key, version] = size
    return found
