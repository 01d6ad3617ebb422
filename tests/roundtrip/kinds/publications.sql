CREATE SCHEMA publications;
CREATE SCHEMA "other schema";
SET search_path = publications;
CREATE TABLE a (id int PRIMARY KEY, b text, c int);
CREATE TABLE p (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10);
INSERT INTO p VALUES (1, 'x');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, truncate');
CREATE PUBLICATION nothing_yet WITH (publish = 'delete');
CREATE PUBLICATION some_tables FOR TABLE publications.a (id, b) WHERE (id > 5 AND b <> 'it''s'), publications.p
    WITH (publish_via_partition_root = true);
CREATE PUBLICATION "Odd; pub" FOR TABLES IN SCHEMA publications, "other schema" WITH (publish = 'insert');
CREATE PUBLICATION mixed FOR TABLE ONLY publications.a, TABLES IN SCHEMA "other schema";
CREATE PUBLICATION with_generated FOR TABLE publications.p_1 WITH (publish_generated_columns = stored);
ALTER PUBLICATION some_tables OWNER TO "the owner";
COMMENT ON PUBLICATION everything IS 'a publication';
