"""Write RESTORE.md: how to restore one archive with psql, pg_restore, zstd and the AWS CLI, without Holdfast."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.contracts.manifest import Manifest, TableContent
from holdfast.model.keys import ArchiveKeys

_TEXT = """\
# Restore {database} as of {taken_at:%Y-%m-%d %H:%M:%S} UTC without Holdfast

This is recovery point `{point}`: {tables} tables, {rows} rows, {plain} bytes as COPY text, taken from PostgreSQL
{server}. It restores with bash, the AWS CLI, zstd and the client programs of PostgreSQL {client} or later, into
PostgreSQL {major} or later. Everything below is generated for this point. With Holdfast at hand, rather use
`holdfast restore {database} --point {point} --into NAME`: it does the same in parallel and proves the result.

## 1. Fetch what lies beside the rows, and check that nobody changed it

```bash
set -euo pipefail
export BUCKET={bucket}
mkdir -p restore && cd restore
for name in manifest.json manifest.sig public-key.pem RESTORE.md; do
  aws s3 cp "s3://$BUCKET/{prefix}$name" "$name"
done
aws s3api get-object --bucket "$BUCKET" --key {schema_key} --version-id {schema_version} schema.dump >/dev/null
aws s3api get-object --bucket "$BUCKET" --key {globals_key} --version-id {globals_version} globals.sql >/dev/null
openssl dgst -sha256 -verify public-key.pem -signature manifest.sig manifest.json
printf '%s  %s\\n' {schema_sha256} schema.dump {globals_sha256} globals.sql | sha256sum --check
```

`openssl` must print `Verified OK`. Compare `public-key.pem` with the public half of your own KMS key, if you still have
it.

## 2. Create an empty database

Set `PGHOST`, `PGPORT`, `PGUSER` and `PGPASSWORD` for the new server. Roles that exist already are reported as errors,
which does no harm; passwords are not part of the archive. The database's roles are: {roles}.

```bash
psql -X -d postgres -f globals.sql || true
psql -X -d postgres -c "CREATE DATABASE restored TEMPLATE template0 ENCODING '{encoding}'"
export PGDATABASE=restored PGCLIENTENCODING={encoding}
pg_restore --exit-on-error --section=pre-data --dbname=restored schema.dump
```

The source's collation was `{collate}`; add `LOCALE` to CREATE DATABASE if the new server has it. Extensions of the
source: {extensions}.

## 3. Load the rows

Each chunk is checked by the hash that names it before it is loaded. The list at the end of this file is a part of the
script:

```bash
load() {{  # sha256, version, statement
  key="{database}/chunks/${{1:0:2}}/$1.zst"
  aws s3api get-object --bucket "$BUCKET" --key "$key" --version-id "$2" chunk.zst >/dev/null
  [ "$(zstd -dcq chunk.zst | sha256sum | cut -c1-64)" = "$1" ] || {{ echo "Chunk $1 is damaged" >&2; return 1; }}
  zstd -dcq chunk.zst | psql -XqtA -v ON_ERROR_STOP=1 {settings} -c "$3"
}}
sed -n '/^# rows begin$/,/^# rows end$/p' RESTORE.md > rows.sh
. ./rows.sh
```
{large_objects}
## {next}. Finish

Sequences' values, indexes, constraints and triggers, then materialised views and statistics:

```bash
pg_restore --exit-on-error --section=data --section=post-data --dbname=restored schema.dump
psql -X -v ON_ERROR_STOP=1 <<'SQL'
{refresh}ANALYZE;
SQL
```

Compare the number of rows of a table with `manifest.json` (`tables[].rows`) to see that all is there.

## The chunks

```bash
# rows begin
{chunks}
# rows end
```
"""

_LARGE_OBJECTS = """
## 4. Put the large objects together

Their pages were loaded into a table of their own; this makes objects of them. Owners and grants are in `manifest.json`
(`large_objects`).

```bash
psql -X -v ON_ERROR_STOP=1 <<'SQL'
BEGIN;
{create}SELECT count(lo_put("loid"::oid, "offset", "data")) FROM public.holdfast_large_objects;
DROP TABLE public.holdfast_large_objects;
COMMIT;
SQL
```
"""
_PAGES = 'CREATE TABLE IF NOT EXISTS public.holdfast_large_objects ("loid" bigint, "offset" bigint, "data" bytea)'
_OBJECTS_PER_STATEMENT = 1000


def handbook(manifest: Manifest, *, bucket: str) -> str:
    """Return the text for this archive in *bucket*."""
    source = manifest.source
    schema, roles = manifest.schema_dump, manifest.globals_sql
    large = bool(manifest.large_objects)
    return _TEXT.format(
        database=manifest.database,
        point=manifest.point_id,
        taken_at=manifest.snapshot.taken_at,
        tables=len(manifest.tables),
        rows=sum(table.rows for table in manifest.tables),
        plain=sum(content.plain for content in manifest.contents),
        server=source.server_version_text,
        major=source.server_version // 10_000,
        client=manifest.client_version.split(".", maxsplit=1)[0],
        bucket=_shell(bucket),
        prefix=ArchiveKeys(manifest.database).of_point(manifest.point_id, ""),
        schema_key=_shell(schema.key),
        schema_version=_shell(schema.version_id),
        schema_sha256=schema.sha256,
        globals_key=_shell(roles.key),
        globals_version=_shell(roles.version_id),
        globals_sha256=roles.sha256,
        roles=_listed(manifest.roles),
        encoding=source.encoding,
        collate=source.collate,
        extensions=_listed(f"{extension.name} {extension.version}" for extension in manifest.extensions),
        settings=_settings(manifest),
        large_objects=_LARGE_OBJECTS.format(create=_creations(manifest)) if large else "",
        next=5 if large else 4,
        refresh="".join(
            f"REFRESH MATERIALIZED VIEW {_sql(view.schema_name)}.{_sql(view.name)};\n"
            for view in manifest.materialised_views
        ),
        chunks="\n".join(_loads(manifest)),
    )


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
        lines.append(f"psql -Xq -v ON_ERROR_STOP=1 -c {_shell(_PAGES)}")
    if manifest.large_object_content:
        pages = "COPY public.holdfast_large_objects FROM STDIN"
        chunks = manifest.large_object_content.chunks
        lines += [f"load {chunk.sha256} {_shell(chunk.version_id)} {_shell(pages)}" for chunk in chunks]
    return lines


def _creations(manifest: Manifest) -> str:
    oids = [str(one.oid) for one in manifest.large_objects]
    groups = [oids[first : first + _OBJECTS_PER_STATEMENT] for first in range(0, len(oids), _OBJECTS_PER_STATEMENT)]
    return "".join(  # numbers only
        f"SELECT count(lo_create(oid)) FROM unnest('{{{','.join(group)}}}'::oid[]) oid;\n"  # noqa: S608
        for group in groups
    )


def _settings(manifest: Manifest) -> str:
    """Return the settings under which the rows were written, as options of psql; the encoding is a variable."""
    kept = {name: value for name, value in manifest.settings.items() if name not in {"client_encoding", "search_path"}}
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
