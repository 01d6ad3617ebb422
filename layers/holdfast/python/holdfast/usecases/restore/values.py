"""Compare what is neither rows nor definitions: sequences, large objects' owners, views' state, the locale."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.facts import materialised_views
from holdfast.adapters.postgres.reading import invalid_indexes, locale_of, sequence_values, subscriptions
from holdfast.adapters.postgres.restored_objects import differing_objects
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restoring import Locale, RestorePlan
from holdfast.model.comparing import compare_values
from holdfast.usecases.restore.objects import restorer_of


def differences_of_values(connection: Connection, plan: RestorePlan, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each value that is not the archive's."""
    yield from _of_sequences(connection, manifest)
    if manifest.large_objects or not plan.part.rows_only:
        yield from differing_objects(connection, by=restorer_of(plan))
    yield from _of_views(connection, manifest)
    if not plan.part.rows_only:
        yield from (f"The index {name} is not valid." for name in invalid_indexes(connection))
        # No restore makes any, whether the archive has some or not, and pg_dump tells of them to superusers only.
        yield from (f"The subscription {name} is not of this restore." for name in subscriptions(connection))


def notes_of_values(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each thing that cannot be compared, or may differ without loss."""
    if manifest.materialised_views:
        names = ", ".join(f"{view.schema_name}.{view.name}" for view in manifest.materialised_views)
        yield f"Computed anew, and not compared, are the rows of materialised views: {names}."
    source, found = manifest.source, locale_of(connection)
    archived = Locale(
        encoding=source.encoding,
        provider=source.locale_provider,
        collate=source.collate,
        ctype=source.ctype,
        icu_locale=source.icu_locale,
    )
    was, is_ = _described_locale(archived), _described_locale(found)
    if was != is_:
        yield f"The database sorts by {is_}; the source by {was}."


def _described_locale(locale: Locale) -> str:
    """Return the names that decide how texts sort, spelt as one: en_US.UTF-8 may be called en_US.utf8."""
    provider = {"c": "libc", "i": "icu", "b": "builtin", "d": "libc"}.get(locale.provider, locale.provider)
    names = [locale.icu_locale or "" if provider != "libc" else locale.collate, locale.ctype]
    plain = [name.lower().replace("-", "").replace("posix", "c") for name in names]
    return f"{plain[0]} ({provider}, characters by {plain[1]})"


def _of_sequences(connection: Connection, manifest: Manifest) -> Iterator[str]:
    archived = {(item.schema_name, item.name): item for item in manifest.sequences}
    restored = sequence_values(connection, list(archived))
    yield from compare_values(
        "sequence",
        {f"{schema}.{name}": _value(item.value, item.called) for (schema, name), item in archived.items()},
        {f"{schema}.{name}": _value(item.value, item.called) for (schema, name), item in restored.items()},
    )


def _value(value: int, called: bool) -> str:
    return f"at {value}{'' if called else ' (not called yet)'}"


def _of_views(connection: Connection, manifest: Manifest) -> Iterator[str]:
    populated = {(view.schema_name, view.name) for view in materialised_views(connection)}
    for view in manifest.materialised_views:
        if (view.schema_name, view.name) not in populated:
            yield f"The materialised view {view.schema_name}.{view.name} has not been refreshed."
