CREATE SCHEMA "values";
SET search_path = "values";
SET IntervalStyle = 'sql_standard';
SET DateStyle = 'German, DMY';
SET timezone = 'Asia/Kathmandu';
SET extra_float_digits = 0;
CREATE TABLE numbers (a float4, b float8, c numeric, d numeric(5, -2), e numeric(3, 5), f int2, g int8, h oid, i money);
INSERT INTO numbers VALUES
    ('NaN', 'NaN', 'NaN', NULL, NULL, -32768, -9223372036854775808, 0, '-92233720368547758.08'),
    ('Infinity', 'Infinity', 'Infinity', 99900, 0.00123, 32767, 9223372036854775807, 4294967295, '92233720368547758.07'),
    ('-Infinity', '-Infinity', '-Infinity', -100, 0, 0, 0, 1, 0),
    (1e-45, 4.94065645841247e-324, 1e-1000, NULL, NULL, 1, 1, 1, 1.1),
    (3.4028235e38, 1.7976931348623157e308, repeat('9', 3000)::numeric, NULL, NULL, NULL, NULL, NULL, NULL),
    (0.1, 0.1::float8 + 0.2::float8, 123.4500, NULL, NULL, NULL, NULL, NULL, NULL),
    ('-0', '-0', 0.000, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE times (a date, b timestamp, c timestamptz, d interval, e time, f timetz, g interval year to month,
    h timestamptz(0), i interval day to second(3));
INSERT INTO times VALUES
    ('infinity', 'infinity', 'infinity', 'infinity', '24:00', '24:00:00+15:59', '1-2', 'infinity', '1 2:3:4.5678'),
    ('-infinity', '-infinity', '-infinity', '-infinity', '00:00', '00:00-15:59', '-1-2', NULL, NULL),
    ('4714-11-24 BC', '4714-11-24 00:00 BC', '4713-01-01 00:00:00+00 BC', '-178000000 years', '23:59:59.999999', NULL, NULL, NULL, NULL),
    ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years', NULL, NULL, NULL, NULL, NULL),
    ('0001-01-01 BC', '0001-01-01 BC', '1883-11-18 12:00 America/New_York', '-1 mon +2 days -03:04:05.678', NULL, NULL, NULL, NULL, NULL),
    ('20000-02-29', '1999-12-31 23:59:60', '2024-10-27 02:30 Europe/Berlin', '1 mon -1 day', NULL, NULL, NULL, '2024-03-31 01:59:59.5+00', NULL);
CREATE TABLE texts (id int GENERATED ALWAYS AS IDENTITY, a text, b varchar(20), c char(8), d "char", e name, f text COLLATE "C");
INSERT INTO texts (a, b, c, d, e) VALUES
    (E'carriage\rreturn', E'\r\n', 'pad', 'x', 'name'), (E'\t\b\f\v', 'trailing  ', '        ', '', ''), (E'\\', E'\\N', E'\\N', E'\\', '\N'),
    (E'\\.', E'a\n\\.\nb', E'\\.', NULL, E'\\.'), ('', '', '', NULL, NULL), (NULL, NULL, NULL, NULL, NULL),
    (E'\x01\x02\x1f\x7f', E'\u0085\u2028\u2029', E'é', '\377', repeat('é', 31)), ('{"a"}', '"', ',', ',', '"'),
    (E'\ufeffbom', E'\U0010ffff', E'\U0001F418', 'a', '🐘');
INSERT INTO texts (a) SELECT string_agg(chr(n), '') FROM generate_series(1, 55000) n;
INSERT INTO texts (a) VALUES (repeat('long ', 300000)), (repeat(E'\\.\n', 20000)), (repeat(E'\\', 100001));
CREATE TABLE bytes (id int GENERATED ALWAYS AS IDENTITY, a bytea, b bit(9), c bit varying, d bit varying(70));
INSERT INTO bytes (a) SELECT decode(string_agg(lpad(to_hex(n), 2, '0'), ''), 'hex') FROM generate_series(0, 255) n;
INSERT INTO bytes (a, b, c, d) VALUES ('', B'101010101', B'', B'1'), (decode(repeat('00ff5c6e0a', 50000), 'hex'), NULL, repeat('10', 1000)::bit varying, NULL);
CREATE TABLE documents (a json, b jsonb, c text, d tsvector, e tsquery, f jsonpath);
INSERT INTO documents VALUES
    (E'{"b": 1,  "a" : "\\u00e9\\ud83d\\udc18",\n "b": 2}', E'{"b": 1, "a": "\\u00e9\\ud83d\\udc18\\\\", "c": [1.0, 1e400, null, "\\t"]}',
     '<?xml version="1.0"?><a b="&quot;">é<![CDATA[<x>]]></a>', $$'a\b' 'it''s':3A,4B 'x y':1$$, $$'a' & !('it''s':AB* | 'b') <3> c$$, '$.a[*] ? (@ > 1)'),
    ('"\u0000"', '"x"', 'no <b>root</b>', '', '', 'strict $'), ('[]', '{}', NULL, NULL, NULL, NULL);
CREATE TABLE networks (a inet, b cidr, c macaddr, d macaddr8, e uuid, f pg_lsn, g xid8, h txid_snapshot, i pg_snapshot);
INSERT INTO networks VALUES ('192.168.1.5/24', '192.168.1.0/24', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', gen_random_uuid(),
    'FFFFFFFF/FFFFFFFF', '18446744073709551615', '10:20:10,14', '10:20:10,14'),
    ('::ffff:1.2.3.4/128', '::/0', NULL, NULL, NULL, '0/0', '0', NULL, NULL);
CREATE TABLE shapes (a point, b line, c lseg, d box, e path, f path, g polygon, h circle);
INSERT INTO shapes VALUES ('(NaN,Infinity)', '{1,-1,0.1}', '[(0,0),(1,1e-300)]', '(1,1),(0,0)', '((0,0),(1,1))', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),1.5>'),
    ('(0.1,-0)', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE arrays (a int[], b text[], c text[][], d bytea[], e timestamptz[], f float8[], g json[], h point[], i box[], j int2vector, k oidvector);
INSERT INTO arrays VALUES ('{}', '{NULL,"NULL","","\"","\\",",","{}"," x "}', '{{a,b},{c,d}}', ARRAY['\x00'::bytea, '\xff'], ARRAY['infinity'::timestamptz, '2024-01-01'],
    '{NaN,-Infinity,1e-320}', ARRAY['{"a": "\""}'::json], ARRAY[point '(1,2)'], ARRAY[box '(1,1),(0,0)', box '(2,2),(0,0)'], '1 2 3', '1 2'),
    ('[-2:0]={1,2,3}', ARRAY[E'line\nbreak', E'\\.', E'\t'], '[1:1][0:1]={{x,y}}', '{}', NULL, NULL, NULL, NULL, NULL, '', '');
CREATE TABLE multiranges (a int4range, b nummultirange, c tstzmultirange, d daterange, e tsrange, f int8multirange);
INSERT INTO multiranges VALUES ('[1,5)', '{[1,2],(3,)}', '{(,infinity)}', '[infinity,)', '["2024-01-01 00:00","2024-01-02 00:00"]', '{}'),
    ('empty', '{}', '{["0044-03-15 00:00:00+00 BC","2024-01-01 00:00:00+00"]}', '(,)', 'empty', '{[1,9223372036854775807)}');
-- Names of what exists elsewhere, in another order: the index of a table that is restored later, a function, a role.
CREATE TABLE referring (a regclass, b regtype, c regproc, d regprocedure, e regoper, f regoperator, g regconfig, h regdictionary,
    i regrole, j regnamespace, k regcollation);
CREATE TABLE zz_last (a int PRIMARY KEY);
CREATE TYPE zz_type AS (a int);
CREATE FUNCTION zz_function(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
INSERT INTO referring VALUES ('zz_last_pkey', 'zz_type', 'zz_function', 'zz_function(int)', 'pg_catalog.^@', '+(int,int)', 'english', 'simple', 'postgres', 'values', '"C"'),
    ('pg_class', 'int[]', 'now', 'lower(text)', 0, 0, 0, 0, 0, 'pg_catalog', NULL), ('information_schema.tables', '-', '-', '-', '0', '0', '-', '-', '-', '-', '-'),
    (999999999, 999999999, 999999999, 999999999, 999999999, 999999999, 999999999, 999999999, 999999999, 999999999, 999999999);
CREATE TABLE acls (a aclitem, b aclitem[]);
INSERT INTO acls VALUES ('postgres=arw*/postgres', ARRAY['=r/postgres'::aclitem]);
CREATE TABLE system_types (a xid, b cid, c tid, d pg_node_tree, e refcursor, f gtsvector);
INSERT INTO system_types VALUES ('4294967295', '0', '(4294967295,65535)', NULL, 'cursor', NULL);
