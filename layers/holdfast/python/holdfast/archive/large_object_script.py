"""SQL that makes large objects of their list and content, once those lie in tables; for psql and pg_restore."""

from __future__ import annotations

from holdfast.contracts.manifest import LargeObjects

MOST_IN_ONE = 2_000
"""Objects that one transaction describes: each takes a lock, and a server has room for some thousands."""


def creations(schema: str) -> tuple[str, str]:
    """Return the statements that create the tables for list and content in *schema*."""
    return (
        f"CREATE TABLE IF NOT EXISTS {schema}.holdfast_list (oid oid, owner text, acl text, comment text)",
        f"CREATE TABLE IF NOT EXISTS {schema}.holdfast_content (loid oid, start bigint, data bytea)",
    )


def assembly(schema: str) -> tuple[str, ...]:
    """
    Return the statements that make the objects, to be run in one transaction.

    An object that was cut at the end of a page has an empty page there, which only cutting makes.
    """
    return (
        f"SELECT count(lo_create(oid)) FROM {schema}.holdfast_list",  # noqa: S608  # a name of ours
        f"SELECT count(lo_put(loid, start, data)) FROM {schema}.holdfast_content",  # noqa: S608
        f"""SELECT count(lo_truncate64(fd, start))
FROM (SELECT start, fd, lo_lseek64(fd, 0, 2) AS size
      FROM (SELECT start, lo_open(loid, 393216) AS fd FROM {schema}.holdfast_content
            WHERE octet_length(data) = 0 OFFSET 0) o OFFSET 0) p
WHERE size <= start""",  # noqa: S608
        f"DROP TABLE {schema}.holdfast_content",
    )


def description(schema: str, objects: LargeObjects) -> str:
    """Return the statement that gives the objects owners, grants and comments; many are not one transaction."""
    many = objects.listed.rows > MOST_IN_ONE
    commit = "\n    altered := altered + 1;\n    IF altered % 200 = 0 THEN COMMIT; END IF;" if many else ""
    return f"""DO $do$
DECLARE one record; access record; altered int := 0;
BEGIN
  FOR one IN SELECT * FROM {schema}.holdfast_list
             WHERE owner <> current_user OR acl IS NOT NULL OR comment IS NOT NULL LOOP
    EXECUTE format('ALTER LARGE OBJECT %s OWNER TO %I', one.oid, one.owner);
    FOR access IN SELECT a.*, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS who
                  FROM aclexplode(one.acl::aclitem[]) a WHERE grantee = 0 OR pg_get_userbyid(grantee) <> one.owner LOOP
      EXECUTE format('GRANT %s ON LARGE OBJECT %s TO %s%s', access.privilege_type, one.oid, access.who,
        CASE WHEN access.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', one.oid, one.comment);{commit}
  END LOOP;
END
$do$"""  # noqa: S608  # a name of ours


def removal(schema: str) -> str:
    """Return the statement that drops the list."""
    return f"DROP TABLE {schema}.holdfast_list"
