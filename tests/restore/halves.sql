-- Keys and foreign keys in all the ways in which pg_dump writes them.
CREATE SCHEMA "a.b (c";
CREATE TABLE plain (id int PRIMARY KEY, b text COLLATE "C" UNIQUE, c int);
INSERT INTO plain SELECT n, 'b' || n, n % 7 FROM generate_series(1, 400) n;
COMMENT ON CONSTRAINT plain_pkey ON plain IS 'ALTER TABLE ONLY public.plain; it''s the key';
COMMENT ON INDEX plain_b_key IS 'of b';
ALTER TABLE plain CLUSTER ON plain_b_key;
CREATE INDEX plain_c ON plain (c);
CREATE INDEX plain_up ON plain (upper(b)) WHERE c > 2;
ALTER INDEX plain_up ALTER COLUMN 1 SET STATISTICS 500;
CREATE TABLE odd ("a ""x"", (y)" int NOT NULL, "SELECT" int, inc text, doubled int GENERATED ALWAYS AS ("SELECT" * 2) STORED,
  CONSTRAINT "the key; --" PRIMARY KEY ("a ""x"", (y)", "SELECT") INCLUDE (inc) WITH (fillfactor = 70, deduplicate_items = off),
  CONSTRAINT twice UNIQUE (doubled) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT later UNIQUE ("SELECT") DEFERRABLE) WITH (fillfactor = 80, autovacuum_enabled = false);
INSERT INTO odd SELECT n, n, 'x' FROM generate_series(1, 300) n;
ALTER TABLE odd REPLICA IDENTITY USING INDEX "the key; --";
CREATE TABLE "a.b (c"."t ""1""" (id int CONSTRAINT kept_nn NOT NULL, n int, UNIQUE NULLS NOT DISTINCT (n), PRIMARY KEY (id));
INSERT INTO "a.b (c"."t ""1""" VALUES (1, NULL), (2, 2);
CREATE TABLE ranges (r int4range, EXCLUDE USING gist (r WITH &&), id int PRIMARY KEY);
INSERT INTO ranges SELECT int4range(n, n + 1), n FROM generate_series(1, 100) n;
CREATE TABLE parent (id int PRIMARY KEY, n int UNIQUE);
CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 1);
INSERT INTO child VALUES (2, 2);
CREATE TABLE parts (id int, at int, PRIMARY KEY (id, at), UNIQUE (at, id)) PARTITION BY RANGE (at);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200) PARTITION BY LIST (id);
CREATE TABLE parts_2_x PARTITION OF parts_2 DEFAULT;
ALTER TABLE parts_1 ADD CONSTRAINT own UNIQUE (id);
CREATE INDEX ON parts (at);
INSERT INTO parts SELECT n, n FROM generate_series(0, 199) n;
CREATE TABLE refs (id int PRIMARY KEY, p int REFERENCES plain ON DELETE CASCADE, b text REFERENCES plain (b) DEFERRABLE INITIALLY DEFERRED,
  x int, y int, me int REFERENCES refs, parts_id int, parts_at int);
INSERT INTO refs SELECT n, n, 'b' || n, n, n, NULLIF(n - 1, 0), n, n FROM generate_series(1, 150) n;
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE refs ADD CONSTRAINT pair FOREIGN KEY (x, y) REFERENCES odd ("a ""x"", (y)", "SELECT") MATCH FULL;
ALTER TABLE refs ADD CONSTRAINT parts_fk FOREIGN KEY (parts_id, parts_at) REFERENCES parts (id, at);
ALTER TABLE refs ADD CONSTRAINT unchecked FOREIGN KEY (x) REFERENCES plain NOT VALID;
COMMENT ON CONSTRAINT pair ON refs IS 'a pair';
CREATE TABLE of_parts (id int, at int, FOREIGN KEY (id) REFERENCES plain (id)) PARTITION BY RANGE (at);
CREATE TABLE of_parts_1 PARTITION OF of_parts DEFAULT;
INSERT INTO of_parts VALUES (1, 1), (2, 2);
CREATE VIEW grouped AS SELECT p.id, p.b, count(*) FROM plain p GROUP BY p.id;
CREATE MATERIALIZED VIEW one AS SELECT count(*) AS n FROM plain;
CREATE VIEW between_them AS SELECT n FROM one;
CREATE MATERIALIZED VIEW two AS SELECT n FROM between_them;
CREATE MATERIALIZED VIEW three AS SELECT one.n FROM one, two;
CREATE UNIQUE INDEX ON three (n);
CREATE MATERIALIZED VIEW zz_read AS SELECT 4 AS n;
CREATE FUNCTION hidden() RETURNS bigint LANGUAGE plpgsql STABLE AS $$BEGIN RETURN (SELECT n FROM public.zz_read); END$$;
CREATE MATERIALIZED VIEW aa_hides AS SELECT public.hidden() AS n;
