CREATE SCHEMA names;
SET search_path = names;
CREATE TABLE "UPPER and lower" ("Column" int, "column" int, "COLUMN" int);
INSERT INTO "UPPER and lower" VALUES (1, 2, 3);
CREATE TABLE "quote""s and 'single'" ("a""b" int DEFAULT 1, "c'd" text DEFAULT 'it''s', CONSTRAINT "k""ey" PRIMARY KEY ("a""b"));
INSERT INTO "quote""s and 'single'" VALUES (1, 'x');
CREATE TABLE "line
break	tab" ("in
side" int);
INSERT INTO "line
break	tab" VALUES (1);
CREATE TABLE "carriage" (a int);
DO $$ BEGIN EXECUTE 'ALTER TABLE names.carriage RENAME TO "carriage' || chr(13) || chr(10) || 'return"'; END $$;
CREATE TABLE "back\slash \n \." ("\" int);
INSERT INTO "back\slash \n \." VALUES (1);
CREATE TABLE "emoji 🐘👩‍👩‍👧" ("🙂" text);
INSERT INTO "emoji 🐘👩‍👩‍👧" VALUES ('🐘');
CREATE TABLE " leading and trailing " (" " int, "  " int);
INSERT INTO " leading and trailing " VALUES (1, 2);
CREATE TABLE "select" ("from" int, "where" int, "user" int, "table" int, "check" int CHECK ("check" > 0));
INSERT INTO "select" VALUES (1, 2, 3, 4, 5);
CREATE TABLE "é" (composed int);
CREATE TABLE "é" (decomposed int);
INSERT INTO "é" VALUES (1);
INSERT INTO "é" VALUES (2);
CREATE TABLE a23456789012345678901234567890123456789012345678901234567890123 (b int PRIMARY KEY);
INSERT INTO a23456789012345678901234567890123456789012345678901234567890123 VALUES (1);
CREATE TABLE "ééééééééééééééééééééééééééééééé" (a serial);
INSERT INTO "ééééééééééééééééééééééééééééééé" DEFAULT VALUES;
CREATE TABLE "semi;colon -- comment /* not */" ("$1" int, "a.b" int, "%s" int, ":x" int);
INSERT INTO "semi;colon -- comment /* not */" VALUES (1, 2, 3, 4);
CREATE TABLE "$$ dollar $x$" (a int DEFAULT 1);
CREATE TABLE "\restrict x" (a int);
CREATE TABLE "a.b" (c int);
CREATE SCHEMA "Odd ""schema"". 🐘
two";
CREATE TABLE "Odd ""schema"". 🐘
two"."b.c" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "x y" text);
INSERT INTO "Odd ""schema"". 🐘
two"."b.c" ("x y") VALUES ('z');
CREATE INDEX "Odd ""index""
" ON "Odd ""schema"". 🐘
two"."b.c" ("x y");
CREATE VIEW "Odd ""schema"". 🐘
two"."view
" AS SELECT * FROM "Odd ""schema"". 🐘
two"."b.c";
CREATE MATERIALIZED VIEW "Odd ""schema"". 🐘
two"."mat
" AS SELECT * FROM "Odd ""schema"". 🐘
two"."b.c";
CREATE FUNCTION "Odd ""schema"". 🐘
two"."f;
"("in "" put" int) RETURNS int LANGUAGE sql AS 'SELECT $1;';
CREATE TYPE "type "" x" AS ENUM ('a;b', E'c\nd', '');
CREATE TYPE "composite "" x" AS ("f "" 1" int, "g;
" text);
CREATE TABLE "of odd types" (a "type "" x", b "composite "" x", c "composite "" x"[]);
INSERT INTO "of odd types" VALUES (E'c\nd', ROW(1, 'x'), ARRAY[ROW(1, E'y"\n')::"composite "" x"]);
COMMENT ON TABLE "select" IS E'a comment; with\nlines, ''quotes'', \\backslashes\\ and -- dashes\r\n\\connect x\n\\restrict';
COMMENT ON SCHEMA "Odd ""schema"". 🐘
two" IS '';
COMMENT ON COLUMN "Odd ""schema"". 🐘
two"."b.c"."x y" IS E'\\.';
CREATE TABLE public."in public" (a int);
