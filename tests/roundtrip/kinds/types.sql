CREATE SCHEMA types;
SET search_path = types;
CREATE DOMAIN positive AS int CHECK (VALUE > 0) DEFAULT 7;
CREATE DOMAIN small AS positive NOT NULL CONSTRAINT below_a_hundred CHECK (VALUE < 100);
ALTER DOMAIN positive ADD CONSTRAINT unchecked CHECK (VALUE < 1000000) NOT VALID;
CREATE DOMAIN words AS text[] CHECK (cardinality(VALUE) < 9);
CREATE DOMAIN in_c AS text COLLATE "C";
COMMENT ON DOMAIN small IS 'a domain';
COMMENT ON CONSTRAINT below_a_hundred ON DOMAIN small IS 'a check of a domain';
CREATE TYPE mood AS ENUM ('sad', 'happy');
ALTER TYPE mood ADD VALUE 'so so' BEFORE 'happy';
ALTER TYPE mood ADD VALUE 'it''s "odd"' AFTER 'sad';
ALTER TYPE mood ADD VALUE 'first' BEFORE 'sad';
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
CREATE TYPE void AS ENUM ();
CREATE TYPE point3 AS (x float8, y float8, z float8);
CREATE TYPE nested AS (p point3, tags text[], m mood, s positive);
CREATE TYPE shrunk AS (a int, b text, c date);
ALTER TYPE shrunk DROP ATTRIBUTE b;
COMMENT ON TYPE nested IS 'a composite';
COMMENT ON COLUMN nested.tags IS 'an attribute';
CREATE FUNCTION distance(float8, float8) RETURNS float8 LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 - $2';
CREATE TYPE floats AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = distance, MULTIRANGE_TYPE_NAME = many_floats);
CREATE TYPE texts AS RANGE (SUBTYPE = text, COLLATION = "C");
CREATE TYPE shell;
CREATE TABLE everything (
    id int PRIMARY KEY, a positive, b small, c words, d mood, e mood[], f point3, g nested, h nested[], i floats,
    j many_floats, k texts, l shrunk, m in_c, n small[], o int[][], p positive[]
);
INSERT INTO everything VALUES
    (1, 1, 2, '{a,"b c",NULL}', 'it''s "odd"', '{first,glad,NULL}', '(1,2,NaN)',
     ROW(ROW(1, 2, 3), ARRAY['x', 'y"z', E'a\\b'], 'so so', 5), ARRAY[ROW(NULL, NULL, NULL, NULL)::nested], '[1.5,2.5)',
     '{[1,2),[3,4)}', '[a,b]', ROW(1, '2026-01-01'), 'é', '{1,2}', '{{1,2},{3,NULL}}', '[5:6]={1,2}'),
    (2, NULL, 9, NULL, NULL, '{}', NULL, NULL, '{}', 'empty', '{}', '(,)', NULL, '', '{}', '{}', NULL);
CREATE INDEX ON everything USING gist (i);
CREATE INDEX ON everything (d);
CREATE TABLE of_rows (a everything);
INSERT INTO of_rows SELECT everything FROM everything;
CREATE TABLE domain_check_by_function (a int);
CREATE FUNCTION even(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = 0';
CREATE DOMAIN even_number AS int CHECK (types.even(VALUE));
ALTER TABLE domain_check_by_function ADD b even_number;
INSERT INTO domain_check_by_function VALUES (1, 2);
