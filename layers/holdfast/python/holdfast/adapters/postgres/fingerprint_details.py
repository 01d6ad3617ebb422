"""
What else a schema's fingerprint is made of: details that a dump holds and that no lock on tables keeps.

Rows of catalogues are taken whole, as JSON: so a column that a newer server adds is part of it, and one that an
older server lacks is no error. Their oids are left out or written as names.
"""

# ruff: noqa: S608  # every text here is put together from constants

from __future__ import annotations

_FIRST = 16384  # oids below are the server's own

DETAILS: tuple[tuple[str, str], ...] = (
    (
        "servers",
        """SELECT pg_catalog.jsonb_build_array(s.srvname, s.srvtype, s.srvversion, s.srvoptions, w.fdwname,
                w.fdwoptions, w.fdwhandler::text, w.fdwvalidator::text)::text
            FROM pg_catalog.pg_foreign_data_wrapper w LEFT JOIN pg_catalog.pg_foreign_server s ON s.srvfdw = w.oid""",
    ),
    (
        # The options are hidden from whom they are no business of.
        "user mappings",
        """SELECT pg_catalog.jsonb_build_array(u.srvname, u.usename, u.umoptions)::text
            FROM pg_catalog.pg_user_mappings u""",
    ),
    (
        "foreign tables",
        """SELECT pg_catalog.jsonb_build_array(t.ftrelid::pg_catalog.regclass::text, s.srvname, t.ftoptions)::text
            FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver""",
    ),
    (
        "aggregates",
        f"""SELECT pg_catalog.jsonb_build_array(
                pg_catalog.to_jsonb(a) - ARRAY['aggfnoid', 'aggtranstype', 'aggmtranstype', 'aggsortop'],
                a.aggfnoid::pg_catalog.regprocedure::text, a.aggtranstype::pg_catalog.regtype::text,
                a.aggmtranstype::pg_catalog.regtype::text, a.aggsortop::pg_catalog.regoperator::text)::text
            FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid::pg_catalog.oid >= {_FIRST}""",
    ),
    (
        "operators",
        f"""SELECT pg_catalog.jsonb_build_array(o.oid::pg_catalog.regoperator::text, o.oprcode::text, o.oprrest::text,
                o.oprjoin::text, o.oprcom::pg_catalog.regoperator::text, o.oprnegate::pg_catalog.regoperator::text,
                o.oprcanmerge, o.oprcanhash)::text
            FROM pg_catalog.pg_operator o WHERE o.oid >= {_FIRST}""",
    ),
    (
        "casts",
        f"""SELECT pg_catalog.jsonb_build_array(pg_catalog.format_type(c.castsource, NULL),
                pg_catalog.format_type(c.casttarget, NULL), c.castfunc::pg_catalog.regprocedure::text,
                c.castcontext, c.castmethod)::text
            FROM pg_catalog.pg_cast c WHERE c.oid >= {_FIRST}""",
    ),
    (
        # With the tables of schemas, columns and conditions, where the server knows such.
        "published tables",
        """SELECT pg_catalog.to_jsonb(t)::text FROM pg_catalog.pg_publication_tables t""",
    ),
    (
        "publications",
        """SELECT (pg_catalog.to_jsonb(p) - ARRAY['oid', 'pubowner'])::text FROM pg_catalog.pg_publication p""",
    ),
    (
        "text search",
        f"""SELECT pg_catalog.jsonb_build_array(m.mapcfg::pg_catalog.regconfig::text, m.maptokentype, m.mapseqno,
                m.mapdict::pg_catalog.regdictionary::text)::text
            FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg >= {_FIRST}
            UNION ALL
            SELECT pg_catalog.jsonb_build_array(d.oid::pg_catalog.regdictionary::text, d.dictinitoption)::text
            FROM pg_catalog.pg_ts_dict d WHERE d.oid >= {_FIRST}""",
    ),
    (
        "settings",
        """SELECT pg_catalog.jsonb_build_array(r.rolname, s.setconfig)::text
            FROM pg_catalog.pg_db_role_setting s
            JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = pg_catalog.current_database()
            LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole""",
    ),
    (
        # An index has columns of its own, with targets of their own.
        "columns",
        f"""SELECT pg_catalog.jsonb_build_array(c.oid::pg_catalog.regclass::text, a.attname, a.attstorage,
                pg_catalog.to_jsonb(a) ->> 'attcompression', coalesce(a.attstattarget, -1), a.attfdwoptions)::text
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            WHERE a.attnum > 0 AND NOT a.attisdropped AND c.oid >= {_FIRST} AND c.relpersistence <> 't'
              AND c.relkind IN ('r', 'p', 'm', 'f', 'i', 'I')
              AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace n WHERE n.oid = c.relnamespace
                              AND (n.nspname ~ '^pg_' OR n.nspname = 'holdfast_restore'))""",
    ),
    (
        "statistics",
        """SELECT pg_catalog.jsonb_build_array(s.stxname, s.stxnamespace::pg_catalog.regnamespace::text,
                pg_catalog.to_jsonb(s) ->> 'stxstattarget')::text
            FROM pg_catalog.pg_statistic_ext s""",
    ),
)
