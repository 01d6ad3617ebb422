"""Write RESTORE.md: how to restore one archive with psql, pg_restore, zstd and the AWS CLI, without Holdfast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.archive import handbook_objects
from holdfast.archive import handbook_texts as texts
from holdfast.contracts.manifest import Manifest, TableContent
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Kind

_SELECTED = " It has not all of the database ({selection}); pg_restore names what needs something that is not here."


def handbook(manifest: Manifest, *, bucket: str) -> str:
    """Return the text for this archive in *bucket*: what a point of its kind needs, and no more."""
    rows, definitions = manifest.kind != Kind.SCHEMA, manifest.schema_dump is not None
    parts = [_introduction(manifest, bucket), _target(manifest)]
    if rows:
        parts.append(texts.ROWS.format(database=manifest.database, settings=_settings(manifest)))
    if manifest.large_objects:
        parts.append(handbook_objects.section(manifest.large_objects))
    parts.append(_finish(manifest, rows=rows, definitions=definitions))
    if rows:
        parts.append(texts.CHUNKS.format(chunks="\n".join(_loads(manifest))))
    return "".join(parts)


def _introduction(manifest: Manifest, bucket: str) -> str:
    beside = [("schema.dump", manifest.schema_dump), ("globals.sql", manifest.globals_sql)]
    files = [(name, pinned) for name, pinned in beside if pinned]
    return texts.INTRODUCTION.format(
        database=manifest.database,
        point=manifest.point_id,
        taken_at=manifest.snapshot.taken_at,
        holds=_holdings(manifest),
        server=manifest.source.server_version_text,
        selection=_SELECTED.format(selection=manifest.selection) if str(manifest.selection) else "",
        major=manifest.source.server_version // 10_000,
        client=manifest.client_version.split(".", maxsplit=1)[0],
        bucket=_shell(bucket),
        prefix=ArchiveKeys(manifest.database).of_point(manifest.point_id, ""),
        fetch="\n".join(
            f'aws s3api get-object --bucket "$BUCKET" --key {_shell(pinned.key)} '
            f"--version-id {_shell(pinned.version_id)} {name} >/dev/null"
            for name, pinned in files
        ),
        sums=" ".join(f"{pinned.sha256} {name}" for name, pinned in files),
    )


def _holdings(manifest: Manifest) -> str:
    if manifest.kind == Kind.SCHEMA:
        return "everything of the database but rows"
    rows, plain = sum(table.rows for table in manifest.tables), sum(content.plain for content in manifest.contents)
    counted = f"{len(manifest.tables)} tables, {rows} rows, {plain} bytes as COPY text"
    return f"the rows alone of {counted}" if manifest.kind == Kind.DATA else counted


def _target(manifest: Manifest) -> str:
    source = manifest.source
    if manifest.schema_dump is None:
        return texts.EXISTING.format(encoding=source.encoding)
    return texts.CREATE.format(
        roles=_listed(manifest.roles),
        encoding=source.encoding,
        schemas="".join(_schemas(manifest)),
        **_strictness(manifest),
        collate=source.collate,
        extensions=_listed(f"{extension.name} {extension.version}" for extension in manifest.extensions),
    )


def _finish(manifest: Manifest, *, rows: bool, definitions: bool) -> str:
    sections = "--section=data --section=post-data" if rows else "--section=post-data"
    strict = _strictness(manifest)
    what = ["sequences' values"] if rows else []
    what += ["indexes, constraints and triggers"] if definitions else []
    refreshed = "then materialised views and statistics" if manifest.materialised_views else "then statistics"
    return texts.FINISH.format(
        what=", ".join([*what, refreshed]).capitalize(),
        definitions=f"pg_restore {strict['strictness']}{sections} --dbname=restored schema.dump{strict['tolerance']}\n"
        if definitions
        else "",
        values="" if definitions else "".join(_values(manifest)),
        refresh="".join(
            f"REFRESH MATERIALIZED VIEW {_sql(view.schema_name)}.{_sql(view.name)};\n"
            for view in manifest.materialised_views
        ),
    )


def _strictness(manifest: Manifest) -> dict[str, str]:
    """Return the options that end at the first error; of a selection, some things name tables that are not there."""
    if manifest.selection.everything:
        return {"strictness": "--exit-on-error ", "tolerance": ""}
    return {"strictness": "", "tolerance": " || true"}


def _schemas(manifest: Manifest) -> Iterator[str]:
    """Yield what creates the schemas of tables that were chosen by name: pg_dump leaves those out."""
    if manifest.selection.include_tables:
        named = {one.schema_name for one in manifest.tables} | {one.schema_name for one in manifest.sequences}
        named |= {schema for schema, _ in manifest.without_rows}
        for name in sorted(named - {"public"}):
            yield f"psql -X -c {_shell(f'CREATE SCHEMA IF NOT EXISTS {_sql(name)}')}\n"


def _values(manifest: Manifest) -> Iterator[str]:
    """Yield what sets the sequences where no schema dump does."""
    for one in manifest.sequences:
        name = _text(f"{_sql(one.schema_name)}.{_sql(one.name)}")
        yield f"SELECT setval({name}, {one.value}, {str(one.called).lower()});\n"  # quoted


def copy_statement(content: TableContent) -> str:
    """Return the COPY that loads the table's chunks; a table without columns is named without a list."""
    columns = ", ".join(_sql(column) for column in content.columns)
    listed = f" ({columns})" if columns else ""
    schema, name = content.load_into or (content.schema_name, content.name)
    return f"COPY {_sql(schema)}.{_sql(name)}{listed} FROM STDIN"


def _loads(manifest: Manifest) -> list[str]:
    lines = [
        f"load {chunk.sha256} {_shell(chunk.version_id)} {_shell(copy_statement(table))}"
        for table in manifest.tables
        for chunk in table.chunks
    ]
    if manifest.large_objects:
        lines += [f"psql -Xq -v ON_ERROR_STOP=1 -c {_shell(statement)}" for statement in handbook_objects.CREATE]
        lines += [
            f"load {chunk.sha256} {_shell(chunk.version_id)} {_shell(statement)}"
            for chunk, statement in handbook_objects.loads(manifest.large_objects)
        ]
    return lines


def _settings(manifest: Manifest) -> str:
    """Return the settings under which the rows were written, as options of psql; the encoding is a variable."""
    kept = {name: value for name, value in manifest.settings.items() if name not in {"client_encoding", "search_path"}}
    if manifest.schema_dump is None:
        # The tables have their triggers and foreign keys already.
        kept["session_replication_role"] = "replica"
    return " ".join(f"-c {_shell(f'SET {name} = {_text(value)}')}" for name, value in kept.items())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _shell(text: str) -> str:
    """Return *text* as one word of a shell script."""
    return "'" + text.replace("'", "'\\''") + "'"


def _sql(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
