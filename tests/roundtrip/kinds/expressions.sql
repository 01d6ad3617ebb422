CREATE SCHEMA expressions;
SET search_path = expressions;
-- A server prints a list of varchar in other words once it was restored.
CREATE DOMAIN status AS varchar CHECK (VALUE IN ('new', 'it''s'));
CREATE TABLE listed (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    v varchar(10) CHECK (v IN ('new', 'it''s')), c char(3) CHECK (c IN ('a', 'b')), n numeric CHECK (n IN (1, 2.5)),
    u varchar CHECK (u NOT IN ('a', v) OR u IS NULL), s status DEFAULT 'new', i cidr CHECK (i IN ('10.0.0.0/8', '::/0')),
    g text GENERATED ALWAYS AS (CASE WHEN v IN ('new', 'x') THEN 'a'::varchar ELSE 'b' END) STORED,
    ts timestamptz DEFAULT (now() AT TIME ZONE 'utc'), e text CHECK (e LIKE ANY (ARRAY['a%', 'b%']))
);
INSERT INTO listed (v, c, n, u, i, e) VALUES ('new', 'a', 2.5, NULL, '10.0.0.0/8', 'a'), ('it''s', 'b', 1, 'z', NULL, NULL);
CREATE INDEX listed_partial ON listed (v) WHERE v IN ('new', 'old');
CREATE INDEX listed_expression ON listed ((v IN ('new', 'old')));
CREATE VIEW seen AS SELECT id FROM listed WHERE v IN ('new', 'old') AND c IN ('x', 'y');
CREATE MATERIALIZED VIEW kept AS SELECT v IN ('new', 'old') AS x FROM listed;
CREATE POLICY only_some ON listed USING (v IN ('new', 'old')) WITH CHECK (u IN ('a', 'b'));
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER sometimes BEFORE UPDATE ON listed FOR EACH ROW WHEN (NEW.v IN ('new', 'old')) EXECUTE FUNCTION nothing();
CREATE TABLE noted (a int, b text, c boolean);
CREATE RULE also AS ON INSERT TO listed WHERE NEW.v IN ('new', 'old') DO ALSO
    INSERT INTO noted SELECT 1, 'x'::text, NEW.v IN ('a', 'b');
CREATE STATISTICS of_list ON (v IN ('new', 'old')), (id * 2) FROM listed;
ALTER TABLE listed ADD EXCLUDE USING btree (id WITH =) WHERE (v IN ('never', 'ever'));
CREATE FUNCTION by_list(a varchar DEFAULT 'x', b text[] DEFAULT ARRAY['a', 'b']::varchar[]) RETURNS bigint LANGUAGE sql BEGIN ATOMIC
    SELECT 1, 'x'; SELECT count(*) FROM listed WHERE v IN ('new', a); END;
