"""
What a schema's fingerprint is made of: queries that yield one text per object.

Where other objects could take over its name, the object's identity follows in a second column, which is no part of the
fingerprint: it tells within one database whether it is the same one. A column's identity is how many its table or type
has ever had: a composite value with one more is written otherwise, and so are the rows that were copied meanwhile when
it goes again. For the same reason an enum's identity has the transactions that wrote its labels.
"""

# ruff: noqa: S608  # every text here is put together from constants

from __future__ import annotations

# Belonging to an extension is looked up per catalogue; 'e' marks its members.
_MEMBER = """NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype = 'e'
    AND x.classid = 'pg_catalog.{catalogue}'::pg_catalog.regclass AND x.objid = {alias}.oid)"""
_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'holdfast_restore')"


def _own(catalogue: str, alias: str) -> str:
    return f"{_SCHEMA} AND " + _MEMBER.format(catalogue=catalogue, alias=alias)


_CLASS = _own("pg_class", "c") + " AND c.relpersistence <> 't'"
_PROC = _own("pg_proc", "p")
_TYPE = _own("pg_type", "t")

STRUCTURE: tuple[tuple[str, str], ...] = (
    ("schemas", f"SELECT nspname::text, n.oid FROM pg_catalog.pg_namespace n WHERE {_own('pg_namespace', 'n')}"),
    (
        "relations",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, c.relname, c.relkind, c.relpersistence, c.reloptions,
                c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.relreplident, am.amname,
                pg_catalog.pg_get_expr(c.relpartbound, c.oid),
                CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
                CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END,
                (SELECT pg_catalog.jsonb_agg(i.inhparent::pg_catalog.regclass::text ORDER BY i.inhseqno)
                 FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.relkind IN ('r', 'p', 'f')))::text, c.oid
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {_CLASS}""",
    ),
    (
        # The number of a column is left out: dropped ones leave gaps that a restore closes.
        "columns",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, c.relname, a.attname,
                pg_catalog.row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
                pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
                a.attoptions, l.nspname || '.' || o.collname,
                pg_catalog.pg_get_expr(f.adbin, f.adrelid))::text,
                c.relnatts
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
            LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
            LEFT JOIN pg_catalog.pg_namespace l ON l.oid = o.collnamespace
            WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND {_CLASS}""",
    ),
    (
        # Constraints that say NOT NULL are columns' facts; 18 lists them here too.
        "constraints",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, k.conname, k.conrelid::pg_catalog.regclass::text,
                k.contypid::pg_catalog.regtype::text, k.contype, k.convalidated,
                pg_catalog.pg_get_constraintdef(k.oid))::text
            FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
            LEFT JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
            WHERE k.contype NOT IN ('n', 't') AND coalesce(c.relpersistence, 'p') <> 't'
              AND {_own("pg_constraint", "k")}
              AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype = 'e'
                  AND x.objid = coalesce(c.oid, k.contypid))""",
    ),
    (
        "indexes",
        f"""SELECT pg_catalog.jsonb_build_array(pg_catalog.pg_get_indexdef(i.indexrelid), i.indisclustered,
                i.indisreplident, i.indisvalid)::text
            FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_CLASS}""",
    ),
    (
        # Partitions' copies of a parent's trigger come and go with the parent's.
        "triggers",
        f"""SELECT pg_catalog.jsonb_build_array(pg_catalog.pg_get_triggerdef(g.oid), g.tgenabled)::text
            FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT g.tgisinternal AND {_CLASS}""",
    ),
    (
        "rules",
        f"""SELECT pg_catalog.pg_get_ruledef(r.oid) || r.ev_enabled::text FROM pg_catalog.pg_rewrite r
            JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {_CLASS}""",
    ),
    (
        "policies",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, c.relname, y.polname, y.polcmd, y.polpermissive,
                (SELECT pg_catalog.jsonb_agg(coalesce(r.rolname, 'public') ORDER BY r.rolname)
                 FROM pg_catalog.unnest(y.polroles) u LEFT JOIN pg_catalog.pg_roles r ON r.oid = u),
                pg_catalog.pg_get_expr(y.polqual, y.polrelid), pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid))::text
            FROM pg_catalog.pg_policy y JOIN pg_catalog.pg_class c ON c.oid = y.polrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_CLASS}""",
    ),
    (
        # The text is always that of now, while pg_dump reads the row that its snapshot sees.
        "functions",
        f"""SELECT CASE WHEN p.prokind = 'a' THEN p.oid::pg_catalog.regprocedure::text
                ELSE pg_catalog.pg_get_functiondef(p.oid) END,
                pg_catalog.md5((pg_catalog.to_jsonb(p) - ARRAY['proacl', 'proowner'])::text)
            FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE {_PROC}""",
    ),
    (
        "types",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, t.typname, t.typtype, t.typcategory, t.typnotnull,
                t.typdefault, pg_catalog.format_type(t.typbasetype, t.typtypmod),
                (SELECT pg_catalog.jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
                 FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))::text, t.oid,
                (SELECT pg_catalog.string_agg(e.xmin::text, ' ' ORDER BY e.oid)
                 FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
            FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typtype IN ('e', 'd', 'r', 'm') AND {_TYPE}""",
    ),
    (
        "sequences",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, c.relname, pg_catalog.format_type(s.seqtypid, NULL),
                s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,
                (SELECT d.refobjid::pg_catalog.regclass::text || '.' || a.attname FROM pg_catalog.pg_depend d
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')))::text
            FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_CLASS}""",
    ),
    (
        "comments",
        """SELECT pg_catalog.jsonb_build_array(i.type, i.identity, d.description)::text
            FROM pg_catalog.pg_description d,
                pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) i
            WHERE d.objoid >= 16384 AND d.classoid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
              AND NOT (i.type = 'schema' AND i.identity = 'holdfast_restore')
              AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype = 'e'
                  AND x.classid = d.classoid AND x.objid = d.objoid)""",
    ),
    (
        "statistics",
        """SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) FROM pg_catalog.pg_statistic_ext s""",
    ),
    (
        "publications",
        """SELECT pg_catalog.jsonb_build_array(p.pubname, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
                (SELECT pg_catalog.jsonb_agg(r.prrelid::pg_catalog.regclass::text ORDER BY 1)
                 FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid))::text
            FROM pg_catalog.pg_publication p""",
    ),
    (
        "event triggers",
        """SELECT pg_catalog.jsonb_build_array(e.evtname, e.evtevent, e.evtenabled, e.evttags,
                e.evtfoid::pg_catalog.regprocedure::text)::text
            FROM pg_catalog.pg_event_trigger e
            WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype = 'e' AND x.objid = e.oid)""",
    ),
    (
        # Operators, casts, text search and the like: rare, so their existence and identity suffice.
        "others",
        """SELECT i.type || ' ' || i.identity
            FROM (SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass AS class, oid FROM pg_catalog.pg_operator
                  UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid FROM pg_catalog.pg_opclass
                  UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid FROM pg_catalog.pg_opfamily
                  UNION ALL SELECT 'pg_catalog.pg_cast'::pg_catalog.regclass, oid FROM pg_catalog.pg_cast
                  UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, oid FROM pg_catalog.pg_collation
                  UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid FROM pg_catalog.pg_conversion
                  UNION ALL SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, oid FROM pg_catalog.pg_language
                  UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_config
                  UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_dict
                  UNION ALL SELECT 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, oid
                            FROM pg_catalog.pg_foreign_server
                  UNION ALL SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, oid
                            FROM pg_catalog.pg_foreign_data_wrapper) o,
                pg_catalog.pg_identify_object(o.class, o.oid, 0) i
            WHERE o.oid >= 16384
              AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend x WHERE x.deptype = 'e'
                  AND x.classid = o.class AND x.objid = o.oid)""",
    ),
)

_GRANTS = """(SELECT pg_catalog.jsonb_agg(x::text ORDER BY x::text COLLATE "C") FROM pg_catalog.unnest({acl}) x)"""


# Catalogue, alias, prefix of its columns, code of its default grants.
_CATALOGUES = {
    "relations": ("pg_class c", "c.rel", "(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\""),
    "functions": ("pg_proc p", "p.pro", "'f'"),
    "types": ("pg_type t", "t.typ", "'T'"),
    "schemas": ("pg_namespace n", "n.nsp", "'n'"),
}


def _owned(kind: str, *, name: str, condition: str) -> tuple[str, str]:
    """Return a query for owners and grants. No grants at all mean the default ones, which a dump may spell out."""
    catalogue, prefix, code = _CATALOGUES[kind]
    join = "" if kind == "schemas" else f"JOIN pg_catalog.pg_namespace n ON n.oid = {prefix}namespace"
    acl = f"coalesce({prefix}acl, pg_catalog.acldefault({code}, {prefix}owner))"
    return (
        kind,
        f"""
        SELECT pg_catalog.jsonb_build_array({name}, pg_catalog.pg_get_userbyid({prefix}owner),
            {_GRANTS.format(acl=acl)})::text
        FROM pg_catalog.{catalogue} {join} WHERE {condition}""",
    )


_KINDS = "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"

PRIVILEGES: tuple[tuple[str, str], ...] = (
    _owned("relations", name="n.nspname, c.relname", condition=f"{_KINDS} AND {_CLASS}"),
    _owned("functions", name="p.oid::pg_catalog.regprocedure::text", condition=_PROC),
    _owned("types", name="n.nspname, t.typname", condition=f"t.typtype IN ('e', 'd', 'r') AND {_TYPE}"),
    _owned("schemas", name="n.nspname", condition=_own("pg_namespace", "n")),
    (
        "columns",
        f"""SELECT pg_catalog.jsonb_build_array(n.nspname, c.relname, a.attname, {_GRANTS.format(acl="a.attacl")})::text
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND {_CLASS}""",
    ),
    (
        "defaults",
        f"""SELECT pg_catalog.jsonb_build_array(pg_catalog.pg_get_userbyid(d.defaclrole), d.defaclobjtype,
                d.defaclnamespace::pg_catalog.regnamespace::text, {_GRANTS.format(acl="d.defaclacl")})::text
            FROM pg_catalog.pg_default_acl d""",
    ),
)

EXTENSIONS: tuple[tuple[str, str], ...] = (
    (
        "extensions",
        """SELECT pg_catalog.jsonb_build_array(e.extname, e.extversion, n.nspname)::text
            FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace""",
    ),
)
