DO $$ BEGIN CREATE ROLE shop_owner NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
DO $$ BEGIN CREATE ROLE "shop reader" NOLOGIN; EXCEPTION WHEN duplicate_object THEN END $$;
CREATE SCHEMA app AUTHORIZATION shop_owner;
CREATE EXTENSION pg_trgm;
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'Über "happy"');
CREATE DOMAIN app.email AS text CHECK (VALUE ~ '@');
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$
-- a line that psql would take for a command:
/*
\restrict foo
*/
BEGIN NEW.updated_at = '2026-01-01'; RETURN NEW; END $$;
CREATE TABLE app.users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email app.email UNIQUE NOT NULL,
    mood app.mood,
    tags text[],
    doc jsonb,
    lower_email text GENERATED ALWAYS AS (lower(email::text)) STORED,
    updated_at timestamptz,
    best_order bigint
);
ALTER TABLE app.users OWNER TO shop_owner;
CREATE TABLE app.orders (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES app.users (id),
    total numeric(10, 2) CHECK (total >= 0),
    price money,
    span interval,
    at timestamptz DEFAULT now()
);
ALTER TABLE app.users ADD CONSTRAINT best FOREIGN KEY (best_order) REFERENCES app.orders (id) DEFERRABLE;
COMMENT ON CONSTRAINT best ON app.users IS 'circular';
CREATE INDEX users_email_trgm ON app.users USING gin (email gin_trgm_ops);
COMMENT ON INDEX app.users_email_trgm IS 'finds';
CREATE TRIGGER touched BEFORE UPDATE ON app.users FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TABLE app.events (id bigint, at date NOT NULL, mood app.mood, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.events_2024 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.events_2025 PARTITION OF app.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (id);
CREATE TABLE app.events_2025_low PARTITION OF app.events_2025 FOR VALUES FROM (0) TO (1000);
CREATE TABLE app.events_2025_other PARTITION OF app.events_2025 DEFAULT;
CREATE INDEX events_mood ON app.events (mood);
CREATE TABLE app.refs (eid bigint, eat date, FOREIGN KEY (eid, eat) REFERENCES app.events (id, at));
CREATE TABLE "odd ""quoted"" näme
x 🐘; -- \" (
    "sel ect" int, "a:b" text, "new
line" int);
CREATE TABLE public.hashed (mood app.mood, n int) PARTITION BY HASH (mood);
CREATE TABLE public.hashed_0 PARTITION OF public.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.hashed_1 PARTITION OF public.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE public.nothing ();
CREATE TABLE public.empty (a int);
CREATE UNLOGGED TABLE public.fleeting (a int);
CREATE TABLE public.parent (a int);
CREATE TABLE public.child (b int) INHERITS (public.parent);
CREATE SEQUENCE app."odd seq" START 5 INCREMENT -3 MINVALUE -100 MAXVALUE 10;
CREATE SEQUENCE app.unused START 7;
CREATE VIEW app.per_user AS
    SELECT u.id, u.email, count(o.id) FROM app.users u LEFT JOIN app.orders o ON o.user_id = u.id GROUP BY u.id;
CREATE MATERIALIZED VIEW app.moods AS SELECT mood, count(*) AS n FROM app.users GROUP BY 1;
CREATE UNIQUE INDEX ON app.moods (mood);
CREATE STATISTICS app.mood_tags ON mood, tags FROM app.users;
ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.orders FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON app.orders USING (user_id > 0);
CREATE FUNCTION app.nothing() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE RULE quiet AS ON DELETE TO app.refs DO INSTEAD NOTHING;
CREATE PUBLICATION news FOR TABLE app.users;
GRANT USAGE ON SCHEMA app TO "shop reader";
GRANT SELECT ON ALL TABLES IN SCHEMA app TO "shop reader";
GRANT SELECT (email) ON app.users TO "shop reader" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO "shop reader";
COMMENT ON TABLE app.users IS 'people';

INSERT INTO app.users (email, mood, tags, doc, updated_at)
    SELECT 'Person' || n || '@example.com', (ARRAY['sad', 'ok', 'Über "happy"']::app.mood[])[1 + n % 3],
           CASE WHEN n % 5 = 0 THEN NULL ELSE ARRAY['a\b', E'tab\there', 'ümlaut', '{}', NULL, 'new' || chr(10) || 'line'] END,
           jsonb_build_object('n', n, 'q', '"\' || n), timestamptz '2026-01-01' + n * interval '1 second'
    FROM generate_series(1, 2000) n;
INSERT INTO app.orders (user_id, total, price, span)
    SELECT 1 + n % 2000, n / 7.0, n, n * interval '1 month 2 days 3.5 seconds' FROM generate_series(1, 3000) n;
UPDATE app.users SET best_order = id WHERE id % 2 = 0;
INSERT INTO app.events
    SELECT n, date '2024-01-01' + n % 700, (ARRAY['sad', 'ok', NULL]::app.mood[])[1 + n % 3] FROM generate_series(1, 3000) n;
INSERT INTO app.refs SELECT id, at FROM app.events WHERE id % 10 = 0;
INSERT INTO "odd ""quoted"" näme
x 🐘; -- \" VALUES (1, E'\\.', 2), (NULL, '', NULL), (3, E'a\r\nb\\n', 4);
INSERT INTO public.hashed SELECT (ARRAY['sad', 'ok', 'Über "happy"']::app.mood[])[1 + n % 3], n FROM generate_series(1, 300) n;
INSERT INTO public.nothing SELECT FROM generate_series(1, 3);
INSERT INTO public.fleeting SELECT 1;
INSERT INTO public.parent VALUES (1), (1);
INSERT INTO public.child VALUES (1, 2);
SELECT nextval('app."odd seq"'), nextval('app."odd seq"');
REFRESH MATERIALIZED VIEW app.moods;
CREATE MATERIALIZED VIEW app.moods_again AS SELECT * FROM app.moods WHERE n > 0;
CREATE MATERIALIZED VIEW app.never AS SELECT 1 AS a WITH NO DATA;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET work_mem = %L', current_database(), '8MB');
    EXECUTE format('ALTER DATABASE %I SET search_path = app, public', current_database());
    EXECUTE format('ALTER ROLE shop_owner IN DATABASE %I SET statement_timeout = %L', current_database(), '5s');
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), E'the shop;\nof all');
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO "shop reader"', current_database());
    EXECUTE format('ALTER DATABASE %I OWNER TO shop_owner', current_database());
END $$;
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION app.nothing();
COMMENT ON EVENT TRIGGER watch IS 'watches';
SELECT lo_from_bytea(4711, decode(repeat('00ff10', 3000), 'hex'));
SELECT lo_create(4712), lo_put(4712, 100000, 'far');
SELECT lo_create(4713);
ALTER LARGE OBJECT 4711 OWNER TO shop_owner;
GRANT SELECT ON LARGE OBJECT 4711 TO "shop reader";
COMMENT ON LARGE OBJECT 4711 IS 'a picture';
