"""What RESTORE.md says of large objects: load their list and their content aside, and make objects of them."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.contracts.manifest import Chunk, LargeObjects

CREATE = (
    "CREATE TABLE IF NOT EXISTS public.holdfast_list (oid oid, owner text, acl text, comment text)",
    "CREATE TABLE IF NOT EXISTS public.holdfast_content (loid oid, start bigint, data bytea)",
)
SECTION = """
## Put the large objects together

Their list and their content were loaded into tables of their own; this makes {count} objects of them, with owners,
grants and comments. Run it once; it takes a lock for each object that is altered, so it commits every 200 of them.

```bash
psql -X -v ON_ERROR_STOP=1 <<'SQL'
BEGIN;
SELECT count(lo_create(oid)) FROM public.holdfast_list;
SELECT count(lo_put(loid, start, data)) FROM public.holdfast_content;
SELECT count(lo_truncate64(fd, start))
FROM (SELECT start, fd, lo_lseek64(fd, 0, 2) AS size
      FROM (SELECT start, lo_open(loid, 393216) AS fd FROM public.holdfast_content
            WHERE octet_length(data) = 0 OFFSET 0) o OFFSET 0) p
WHERE size <= start;
DROP TABLE public.holdfast_content;
COMMIT;
DO $do$
DECLARE one record; access record; altered int := 0;
BEGIN
  FOR one IN SELECT * FROM public.holdfast_list
             WHERE owner <> current_user OR acl IS NOT NULL OR comment IS NOT NULL LOOP
    EXECUTE format('ALTER LARGE OBJECT %s OWNER TO %I', one.oid, one.owner);
    FOR access IN SELECT a.*, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
                  FROM aclexplode(one.acl::aclitem[]) a WHERE grantee = 0 OR pg_get_userbyid(grantee) <> one.owner LOOP
      EXECUTE format('GRANT %s ON LARGE OBJECT %s TO %s%s', access.privilege_type, one.oid, access.who,
        CASE WHEN access.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', one.oid, one.comment);
    altered := altered + 1;
    IF altered % 200 = 0 THEN COMMIT; END IF;
  END LOOP;
END
$do$;
DROP TABLE public.holdfast_list;
SQL
```
"""


def loads(objects: LargeObjects) -> Iterator[tuple[Chunk, str]]:
    """Yield each chunk with the statement that loads it."""
    for name, content in (("list", objects.listed), ("content", objects.content)):
        for chunk in content.chunks:
            yield chunk, f"COPY public.holdfast_{name} FROM STDIN"
