SET search_path = public;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET work_mem = %L', current_database(), '8MB');
    EXECUTE format('ALTER DATABASE %I SET search_path = %L, public', current_database(), 'odd "schema');
    EXECUTE format('ALTER DATABASE %I SET "odd.setting" = %L', current_database(), E'it''s\nodd\\');
    EXECUTE format('ALTER ROLE "odd ""role" IN DATABASE %I SET statement_timeout = %L', current_database(), '5s');
    EXECUTE format('ALTER ROLE reader IN DATABASE %I SET search_path = a, "b c"', current_database());
    EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), E'everything;\nof all kinds');
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO reader WITH GRANT OPTION', current_database());
    EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 17', current_database());
    EXECUTE format('ALTER DATABASE %I OWNER TO "the owner"', current_database());
END $$;
