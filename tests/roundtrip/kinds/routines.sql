CREATE SCHEMA routines;
SET search_path = routines;
CREATE TABLE t (id int PRIMARY KEY, a text);
INSERT INTO t VALUES (1, 'x');
CREATE FUNCTION standard(a int, b int DEFAULT 2) RETURNS int IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN a + b;
CREATE FUNCTION atomic_one() RETURNS SETOF t LANGUAGE sql STABLE ROWS 7 COST 3 BEGIN ATOMIC
    SELECT id, a FROM routines.t WHERE id > routines.standard(1); END;
CREATE PROCEDURE atomic_procedure(INOUT x int, OUT y text) LANGUAGE sql BEGIN ATOMIC
    INSERT INTO routines.t VALUES (x, 'new'); SELECT 1, 'y'; END;
CREATE FUNCTION many(IN a int, OUT b int, INOUT c text, VARIADIC d numeric[] DEFAULT '{}') LANGUAGE plpgsql STRICT
    SECURITY DEFINER LEAKPROOF SET search_path = 'routines', 'pg_temp' SET work_mem FROM CURRENT AS $f$
BEGIN b := a; /* $$ ; \connect nowhere
*/ c := '"quoted"' || E'\\'; END $f$;
CREATE FUNCTION overloaded(int) RETURNS text LANGUAGE sql AS 'SELECT ''int''';
CREATE FUNCTION overloaded(text) RETURNS text LANGUAGE sql AS 'SELECT ''text''';
CREATE FUNCTION overloaded(VARIADIC int[]) RETURNS text LANGUAGE sql AS 'SELECT ''many''';
CREATE FUNCTION poly(anyelement, anyarray, OUT r anycompatible, anycompatible) LANGUAGE sql AS 'SELECT $3';
CREATE FUNCTION as_table(n int) RETURNS TABLE (a int, "b c" text) LANGUAGE sql AS 'SELECT n, ''x''';
CREATE FUNCTION later_table() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM routines.t';
CREATE FUNCTION whole_row(t) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE FUNCTION supported(int) RETURNS int LANGUAGE internal IMMUTABLE STRICT SUPPORT pg_catalog.generate_series_int4_support AS 'int4abs';
CREATE PROCEDURE proc(IN a int, INOUT b text DEFAULT 'x') LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE FUNCTION of_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
DO $$ BEGIN EXECUTE 'CREATE FUNCTION routines.crlf() RETURNS int LANGUAGE plpgsql AS ''' || E'BEGIN\r\n  RETURN 1;\r\nEND' || ''''; END $$;
CREATE FUNCTION body_uses_missing() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT x FROM nowhere.there); END';
SET check_function_bodies = off;
CREATE FUNCTION sql_uses_missing() RETURNS int LANGUAGE sql AS 'SELECT x FROM nowhere.there';
RESET check_function_bodies;
-- A default, an index and a generated column that need functions; one that reads a table.
CREATE TABLE uses (a int DEFAULT routines.standard(1), b text, c text GENERATED ALWAYS AS (lower(b)) STORED);
CREATE INDEX uses_function ON uses (routines.standard(a, 5));
INSERT INTO uses (b) VALUES ('B');
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = SAFE,
    MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0');
CREATE AGGREGATE ordered(ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = mode_final, FINALFUNC_EXTRA);
CREATE AGGREGATE hypothetical(VARIADIC "any" ORDER BY VARIADIC "any") (SFUNC = ordered_set_transition_multi, STYPE = internal,
    FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE smallest(int) (SFUNC = int4smaller, STYPE = int, SORTOP = <);
CREATE FUNCTION windowed() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE AS 'window_row_number';
CREATE FUNCTION add_text(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2';
CREATE OPERATOR |+| (LEFTARG = text, RIGHTARG = text, FUNCTION = add_text, COMMUTATOR = |+|);
CREATE FUNCTION negate(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT reverse($1)';
CREATE OPERATOR !- (RIGHTARG = text, FUNCTION = negate);
CREATE OPERATOR CLASS by_length FOR TYPE text USING hash AS OPERATOR 1 =, FUNCTION 1 hashtext(text);
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1, $1)::routines.pair';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;
CREATE CONVERSION converted FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION as_default FOR 'LATIN2' TO 'UTF8' FROM iso8859_to_utf8;
CREATE FUNCTION from_sql(internal) RETURNS internal LANGUAGE internal AS 'byteaout';
CREATE ACCESS METHOD own_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD own_tree TYPE INDEX HANDLER bthandler;
CREATE TABLE in_own_heap (a int) USING own_heap;
INSERT INTO in_own_heap VALUES (1);
CREATE MATERIALIZED VIEW view_in_own_heap USING own_heap AS SELECT 1 AS a;
CREATE FUNCTION own_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION own_inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION own_validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE TRUSTED LANGUAGE own_language HANDLER own_handler INLINE own_inline VALIDATOR own_validator;
CREATE FUNCTION in_own_language() RETURNS int LANGUAGE own_language AS 'BEGIN RETURN 1; END';
CREATE TRANSFORM FOR pair LANGUAGE own_language (FROM SQL WITH FUNCTION prsd_lextype(internal));
COMMENT ON FUNCTION standard(int, int) IS 'a function';
COMMENT ON PROCEDURE proc(int, text) IS 'a procedure';
COMMENT ON AGGREGATE total(int) IS 'an aggregate';
COMMENT ON OPERATOR |+| (text, text) IS 'an operator';
COMMENT ON CONVERSION converted IS 'a conversion';
COMMENT ON ACCESS METHOD own_heap IS 'an access method';
COMMENT ON LANGUAGE own_language IS 'a language';
COMMENT ON TRANSFORM FOR pair LANGUAGE own_language IS 'a transform';
COMMENT ON TABLE t IS 'a table';
COMMENT ON SEQUENCE columns.shared_sequence IS 'a sequence';
COMMENT ON SCHEMA routines IS 'a schema';
