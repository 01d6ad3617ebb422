"""The texts that RESTORE.md is put together from; which of them depends on what a point holds."""

from __future__ import annotations

INTRODUCTION = """\
# Restore {database} as of {taken_at:%Y-%m-%d %H:%M:%S} UTC without Holdfast

This is recovery point `{point}`: {holds}, taken from PostgreSQL
{server}.{selection} It restores with bash, the AWS CLI, zstd and the client programs of PostgreSQL {client} or later,
into PostgreSQL {major} or later. Everything below is generated for this point. With Holdfast at hand, rather use
`holdfast restore {database} --point {point} --into NAME`: it does the same in parallel and proves the result.

## Fetch what lies beside the rows, and check that nobody changed it

```bash
set -euo pipefail
export BUCKET={bucket}
mkdir -p restore && cd restore
for name in manifest.json manifest.sig public-key.pem RESTORE.md; do
  aws s3 cp "s3://$BUCKET/{prefix}$name" "$name"
done
{fetch}
openssl dgst -sha256 -verify public-key.pem -signature manifest.sig manifest.json
printf '%s  %s\\n' {sums} | sha256sum --check
tr '{{' '\\n' < manifest.json | grep '/RESTORE.md"' | grep -q "$(sha256sum RESTORE.md | cut -c1-64)" ||
  {{ echo "RESTORE.md is not the page of this manifest" >&2; false; }}
```

`openssl` must print `Verified OK`, and nothing may fail: the manifest vouches for this page, too. Whoever could
replace the manifest could replace key, signature and this page as well. So compare `public-key.pem` with the public
half of your own KMS key (`aws kms get-public-key`), or with a copy that you kept elsewhere, before you go on.
"""

CREATE = """
## Create an empty database

Set `PGHOST`, `PGPORT`, `PGUSER` and `PGPASSWORD` for the new server. Roles that exist already are reported as errors,
which does no harm; passwords are not part of the archive, and the database's own settings, grants and owner are not
restored by this page. The database's roles are: {roles}.

```bash
psql -X -d postgres -f globals.sql || true
psql -X -d postgres -c "CREATE DATABASE restored TEMPLATE template0 ENCODING '{encoding}'"
export PGDATABASE=restored PGCLIENTENCODING={encoding}
{schemas}pg_restore {strictness}--section=pre-data --dbname=restored schema.dump{tolerance}
```

The source's collation was `{collate}`; add `LOCALE` to CREATE DATABASE if the new server has it. Extensions of the
source: {extensions}.
"""

EXISTING = """
## Name the database whose tables are filled

Set `PGHOST`, `PGPORT`, `PGUSER` and `PGPASSWORD` for its server. It must have the tables already, empty and with the
columns that `manifest.json` lists (`tables[].columns`), for example from a schema point. The user is a superuser, or
may set `session_replication_role`: triggers and foreign keys stay still while rows are loaded.

```bash
export PGDATABASE=restored PGCLIENTENCODING={encoding}
```
"""

ROWS = """
## Load the rows

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
"""

FINISH = """
## Finish

{what}:

```bash
{definitions}psql -X -v ON_ERROR_STOP=1 <<'SQL'
{values}{refresh}ANALYZE;
SQL
```
"""

CHUNKS = """
Compare the number of rows of a table with `manifest.json` (`tables[].rows`) to see that all is there.

## The chunks

```bash
# rows begin
{chunks}
# rows end
```
"""
