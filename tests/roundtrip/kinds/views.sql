CREATE SCHEMA views;
SET search_path = views;
CREATE TABLE people (id int PRIMARY KEY, name text COLLATE "C", boss int REFERENCES people, secret text);
INSERT INTO people SELECT n, 'p' || n, nullif(n / 2, 0), 's' FROM generate_series(1, 40) n;
CREATE VIEW plain AS SELECT id, name FROM people WHERE id > 2;
CREATE VIEW on_a_view AS SELECT p.*, 1 AS one FROM plain p;
CREATE VIEW third AS SELECT count(*) AS n FROM on_a_view JOIN plain USING (id);
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM people;
CREATE VIEW invoker WITH (security_invoker = true, security_barrier = false) AS SELECT * FROM people;
CREATE VIEW checked AS SELECT * FROM people WHERE id < 100 WITH LOCAL CHECK OPTION;
CREATE VIEW cascaded AS SELECT * FROM checked WHERE id > 1 WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW chain (id, depth) AS
    SELECT id, 0 FROM people WHERE boss IS NULL
    UNION ALL SELECT p.id, c.depth + 1 FROM people p JOIN chain c ON p.boss = c.id;
CREATE VIEW with_defaults AS SELECT * FROM people;
ALTER VIEW with_defaults ALTER COLUMN name SET DEFAULT 'unnamed';
CREATE VIEW needs_the_key AS SELECT id, name, count(*) FROM people GROUP BY id;
CREATE VIEW "Odd "" name" AS SELECT 1 AS "odd "" column", 'x'::text AS "select";
-- Two views that need each other: one exists first without the other.
CREATE VIEW circular_a AS SELECT 1 AS x;
CREATE VIEW circular_b AS SELECT x FROM circular_a;
CREATE FUNCTION of_b() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM views.circular_b; END;
CREATE OR REPLACE VIEW circular_a AS SELECT 1 AS x WHERE views.of_b() IS NULL OR true;
CREATE MATERIALIZED VIEW first AS SELECT boss, count(*) AS n FROM people GROUP BY 1 WITH NO DATA;
CREATE VIEW between AS SELECT * FROM first WHERE n > 0;
CREATE MATERIALIZED VIEW "a second" AS SELECT sum(n) AS n FROM between WITH NO DATA;
CREATE MATERIALIZED VIEW a_third WITH (fillfactor = 80) AS SELECT n + 1 AS m FROM "a second" WITH NO DATA;
REFRESH MATERIALIZED VIEW first;
REFRESH MATERIALIZED VIEW "a second";
REFRESH MATERIALIZED VIEW a_third;
CREATE MATERIALIZED VIEW never AS SELECT * FROM people WITH NO DATA;
CREATE MATERIALIZED VIEW on_never AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON first (boss);
CREATE INDEX never_id ON never (id);
CREATE STATISTICS of_view ON boss, n FROM first;
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM views.people';
CREATE MATERIALIZED VIEW by_function AS SELECT views.counted() AS n;
COMMENT ON VIEW plain IS 'a view';
COMMENT ON COLUMN plain.name IS 'a column of a view';
COMMENT ON MATERIALIZED VIEW first IS 'a materialised view';
COMMENT ON INDEX never_id IS 'an index';
CREATE VIEW uses_types AS SELECT '1'::bit(3) AS b, interval '1 day' AS i, ARRAY[1, 2] AS a,
    date '0044-03-15 BC' AS d, E'\\x00'::bytea AS y, '{"a": 1}'::jsonb ->> 'a' AS j;
