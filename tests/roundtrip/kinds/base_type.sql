CREATE SCHEMA base_type;
SET search_path = base_type;
-- A base type of one's own, out of the server's own functions.
CREATE TYPE mine;
CREATE FUNCTION mine_in(cstring) RETURNS mine LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION mine_out(mine) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE FUNCTION mine_recv(internal) RETURNS mine LANGUAGE internal IMMUTABLE STRICT AS 'int4recv';
CREATE FUNCTION mine_send(mine) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int4send';
CREATE TYPE mine (INPUT = mine_in, OUTPUT = mine_out, RECEIVE = mine_recv, SEND = mine_send, LIKE = int4,
    CATEGORY = 'N', DEFAULT = '42', DELIMITER = ';');
CREATE FUNCTION mine_lt(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE FUNCTION mine_le(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4le';
CREATE FUNCTION mine_eq(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION mine_ge(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4ge';
CREATE FUNCTION mine_gt(mine, mine) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4gt';
CREATE FUNCTION mine_cmp(mine, mine) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE OPERATOR < (LEFTARG = mine, RIGHTARG = mine, FUNCTION = mine_lt, COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (LEFTARG = mine, RIGHTARG = mine, FUNCTION = mine_le, COMMUTATOR = >=, NEGATOR = >);
CREATE OPERATOR = (LEFTARG = mine, RIGHTARG = mine, FUNCTION = mine_eq, COMMUTATOR = =, RESTRICT = eqsel,
    JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR >= (LEFTARG = mine, RIGHTARG = mine, FUNCTION = mine_ge, COMMUTATOR = <=, NEGATOR = <);
CREATE OPERATOR > (LEFTARG = mine, RIGHTARG = mine, FUNCTION = mine_gt, COMMUTATOR = <, NEGATOR = <=);
CREATE OPERATOR FAMILY mine_family USING btree;
CREATE OPERATOR CLASS mine_ops DEFAULT FOR TYPE mine USING btree FAMILY mine_family AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 mine_cmp(mine, mine);
CREATE FUNCTION mine_int_cmp(mine, int) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION mine_int_eq(mine, int) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE OPERATOR === (LEFTARG = mine, RIGHTARG = int, FUNCTION = mine_int_eq);
ALTER OPERATOR FAMILY mine_family USING btree ADD OPERATOR 3 === (mine, int), FUNCTION 1 mine_int_cmp(mine, int);
CREATE CAST (int AS mine) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (mine AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (mine AS money) WITH INOUT;
COMMENT ON TYPE mine IS 'a base type';
COMMENT ON OPERATOR < (mine, mine) IS 'less';
COMMENT ON OPERATOR CLASS mine_ops USING btree IS 'a class';
COMMENT ON OPERATOR FAMILY mine_family USING btree IS 'a family';
COMMENT ON CAST (int AS mine) IS 'a cast';
CREATE TABLE holds (a mine PRIMARY KEY, b mine[]);
INSERT INTO holds SELECT n::mine, ARRAY[n::mine, 3::mine] FROM generate_series(1, 20) n;
CREATE TYPE mines AS RANGE (SUBTYPE = mine);
CREATE TABLE ranges (a mines);
INSERT INTO ranges VALUES ('[1,5)');
