CREATE SCHEMA constraints;
SET search_path = constraints;
CREATE TABLE "chicken" (id int PRIMARY KEY, egg int NOT NULL, self int REFERENCES chicken);
CREATE TABLE "egg" (id int PRIMARY KEY, chicken int NOT NULL REFERENCES chicken DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE chicken ADD FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY DEFERRED;
BEGIN;
INSERT INTO chicken SELECT n, n, nullif(n - 1, 0) FROM generate_series(1, 50) n;
INSERT INTO egg SELECT n, n FROM generate_series(1, 50) n;
COMMIT;
CREATE TABLE booked (room int, during tsrange, note text,
    EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&) WHERE (note <> 'maybe') DEFERRABLE);
INSERT INTO booked VALUES (1, '[2026-01-01,2026-01-02)', 'x'), (1, '[2026-01-02,2026-01-03)', 'x'),
    (1, '[2026-01-01,2026-01-09)', 'maybe');
CREATE TABLE uniques (
    a int UNIQUE NULLS NOT DISTINCT, b int, c text, d text, e int,
    CONSTRAINT together UNIQUE (b, c) INCLUDE (d) WITH (fillfactor = 50) DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE uniques REPLICA IDENTITY FULL;
CREATE UNIQUE INDEX by_lower ON uniques (lower(c) text_pattern_ops DESC NULLS LAST, e) NULLS NOT DISTINCT WHERE e > 0;
CREATE UNIQUE INDEX promoted ON uniques (d);
ALTER TABLE uniques ADD CONSTRAINT promoted UNIQUE USING INDEX promoted;
INSERT INTO uniques VALUES (NULL, 1, 'a', 'x', 1), (2, 1, 'b', 'y', 1);
CREATE TABLE identified (id int NOT NULL, other int NOT NULL);
CREATE UNIQUE INDEX by_other ON identified (other);
ALTER TABLE identified REPLICA IDENTITY USING INDEX by_other;
CREATE INDEX by_id ON identified (id);
ALTER TABLE identified CLUSTER ON by_id;
CREATE TABLE unlogged_identity (a int PRIMARY KEY);
ALTER TABLE unlogged_identity REPLICA IDENTITY NOTHING;
CREATE TABLE actions (
    id int PRIMARY KEY, a int, b int,
    FOREIGN KEY (a) REFERENCES actions ON DELETE SET NULL ON UPDATE CASCADE,
    FOREIGN KEY (b) REFERENCES actions MATCH FULL ON DELETE SET DEFAULT
);
CREATE TABLE tenants (tenant int, id int, PRIMARY KEY (tenant, id));
CREATE TABLE posts (tenant int, author int, FOREIGN KEY (tenant, author) REFERENCES tenants ON DELETE SET NULL (author));
CREATE TABLE unchecked (a int);
INSERT INTO unchecked VALUES (-1);
ALTER TABLE unchecked ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
ALTER TABLE unchecked ADD CONSTRAINT key_later FOREIGN KEY (a) REFERENCES chicken NOT VALID;
ALTER TABLE unchecked ADD CONSTRAINT never CHECK (a > 10) NOT ENFORCED;
ALTER TABLE unchecked ADD CONSTRAINT key_never FOREIGN KEY (a) REFERENCES egg NOT ENFORCED;
CREATE FUNCTION limit_of() RETURNS int LANGUAGE sql STABLE AS 'SELECT count(*)::int + 1000 FROM constraints.chicken';
CREATE TABLE checks_by_query (a int CHECK (a < constraints.limit_of()));
INSERT INTO checks_by_query VALUES (999);
CREATE EXTENSION btree_gist;
CREATE TABLE stays (room int, valid daterange, PRIMARY KEY (room, valid WITHOUT OVERLAPS));
CREATE TABLE guests (room int, valid daterange, FOREIGN KEY (room, PERIOD valid) REFERENCES stays (room, PERIOD valid));
INSERT INTO stays VALUES (1, '[2026-01-01,2026-02-01)'), (1, '[2026-02-01,2026-03-01)');
INSERT INTO guests VALUES (1, '[2026-01-15,2026-02-15)');
CREATE INDEX brin_one ON chicken USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX hash_one ON chicken USING hash (egg);
CREATE INDEX expression_one ON chicken ((id + egg), (id * 2)) INCLUDE (self);
ALTER INDEX expression_one ALTER COLUMN 1 SET STATISTICS 500;
COMMENT ON CONSTRAINT later ON unchecked IS 'a constraint';
CREATE STATISTICS dependent (dependencies, ndistinct, mcv) ON a, b FROM actions;
CREATE STATISTICS of_expression ON (id % 5), (egg % 7) FROM chicken;
ALTER STATISTICS dependent SET STATISTICS 99;
COMMENT ON STATISTICS dependent IS 'statistics';
