-- Rows, made by the server itself. Each block is one lane, its tables filled in order; lanes run side by
-- side. {unit} grows with the size that was asked for. Values are computed, not random: two runs make the
-- same rows, and text compresses about as well as an application's.

-- lane: shop
INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
SELECT gen_random_uuid(), encode(sha256(n::text::bytea), 'hex'), at, to_char(at, 'YYYYMMDDHH24MISS') || '_step_' || n, at, 1
FROM generate_series(1, 24) n, LATERAL (SELECT timestamptz '2025-01-05 10:00Z' + n * interval '11 days' AS at) t;

INSERT INTO teams (slug, settings)
SELECT 'team-' || n, jsonb_build_object('seats', n % 40 + 1, 'plan', CASE n % 3 WHEN 0 THEN 'free' ELSE 'pro' END)
FROM generate_series(1, 50 + {unit} / 10) n;

INSERT INTO users (id, email, first_name, last_name, role, tags, preferences, address, password_hash,
                   last_seen_from, locked_until, created_at, updated_at)
SELECT md5('user' || n)::uuid, 'User.' || n || '@example.com',
       (ARRAY['Ada', 'Grace', 'Žofie', '世津子', 'O''Neil', 'Tab' || E'\t' || 'by'])[n % 6 + 1],
       (ARRAY['Lovelace', 'Hopper', 'Nováková', E'Back\\slash', 'de la Cruz'])[n % 5 + 1] || n % 997,
       CASE WHEN n % 500 = 0 THEN 'admin' WHEN n % 50 = 0 THEN 'support' ELSE 'customer' END::user_role,
       CASE n % 4 WHEN 0 THEN '{}' ELSE ARRAY['since-' || 2015 + n % 11, 'wave,' || n % 7, NULL] END,
       jsonb_build_object('theme', CASE n % 2 WHEN 0 THEN 'dark' ELSE 'light' END, 'newsletter', n % 3 = 0,
                          'limits', jsonb_build_array(n % 10, n * 1.5, NULL)),
       CASE WHEN n % 9 > 0 THEN ROW(n % 200 || ' Main "St", Apt. ' || n % 30, 'Springfield', lpad((n % 99999)::text, 5, '0'), 'US')::postal_address END,
       sha256(n::text::bytea), ('10.' || n % 256 || '.' || n / 256 % 256 || '.' || n / 65536 % 256)::inet,
       CASE WHEN n % 1000 = 0 THEN 'infinity'::timestamptz END, t.at, t.at
FROM generate_series(1, 120 * {unit}) n, LATERAL (SELECT timestamptz '2025-01-01Z' + n * interval '37 seconds' AS at) t;

INSERT INTO "_TeamToUser" SELECT n % 50 + 1, md5('user' || n)::uuid FROM generate_series(1, 40 * {unit}) n;

INSERT INTO products (sku, name, description, price, weight_kg, attributes)
SELECT 'SKU-' || to_char(n, 'FM000000'), 'Product ' || n, 'Made of ' || (ARRAY['oak', 'steel', 'wool', 'glass'])[n % 4 + 1]
       || ', line ' || n % 77 || E'.\nDishwasher safe: ' || (n % 2 = 0), (n % 50000) / 100.0,
       CASE WHEN n % 100 = 0 THEN 'NaN' ELSE n / 7.0 END::double precision,
       jsonb_build_object('colours', jsonb_build_array('red', 'blue'), 'stock', n % 321)
FROM generate_series(1, 200 + 10 * {unit}) n;

INSERT INTO orders (user_id, status, placed_at, delivery, total, coupons, note)
SELECT md5('user' || n % (120 * {unit}) + 1)::uuid, (ARRAY['placed', 'paid', 'shipped', 'delivered', 'delivered', 'returned'])[n % 6 + 1]::order_status,
       t.at, CASE WHEN n % 6 > 1 THEN tstzrange(t.at + interval '1 day', t.at + interval '2 days') END,
       (n % 25000) / 100.0, CASE WHEN n % 20 = 0 THEN ARRAY['SPRING', 'X' || n % 99] END,
       CASE WHEN n % 11 = 0 THEN 'Leave at the door; ring twice. Order ' || n END
FROM generate_series(1, 300 * {unit}) n, LATERAL (SELECT timestamptz '2026-01-01Z' + n * interval '23 seconds' AS at) t;

INSERT INTO order_items (order_id, line, product_id, quantity, unit_price)
SELECT n / 3 + 1, n % 3 + 1, n % (200 + 10 * {unit}) + 1, n % 5 + 1, (n % 9000) / 100.0
FROM generate_series(0, 900 * {unit} - 1) n;

INSERT INTO billing.invoices (order_id, issued_on, amount, document)
SELECT n, date '2026-01-01' + n % 320, (n % 25000) / 100.0,
       CASE WHEN n % 10 = 0 THEN ('{"order": ' || n || ',  "lines": [1, 2]}')::json END
FROM generate_series(1, 150 * {unit}) n;

INSERT INTO attachments (order_id, file_name, thumbnail, content)
SELECT n, 'receipt-' || n || '.pdf', sha256(n::text::bytea),
       lo_from_bytea(0, decode(repeat(md5(n::text), 200 + n % 800), 'hex'))
FROM generate_series(1, 20 + {unit}) n;

-- lane: history
INSERT INTO audit_logs (at, actor, action, entity, entity_id, before, after, address)
SELECT timestamptz '2026-02-01Z' + n * interval '5 seconds', CASE WHEN n % 40 > 0 THEN md5('user' || n % (120 * {unit}) + 1)::uuid END,
       (ARRAY['login', 'create', 'update', 'update', 'delete', 'export'])[n % 6 + 1]::audit_action,
       (ARRAY['user', 'order', 'product'])[n % 3 + 1], (n * 7919::bigint % 1000003)::text,
       CASE WHEN n % 6 IN (2, 3) THEN jsonb_build_object('status', 'placed', 'version', n % 9, 'checksum', md5(n::text)) END,
       CASE WHEN n % 6 IN (1, 2, 3) THEN jsonb_build_object('status', 'paid', 'version', n % 9 + 1, 'checksum', md5(n::text || 'x')) END,
       ('10.0.' || n % 256 || '.' || n / 256 % 256)::inet
FROM generate_series(1, 1200 * {unit}) n;

-- lane: events
INSERT INTO events (occurred_at, kind, user_id, value, payload)
SELECT timestamptz '2026-07-01Z' + n % 11520000 * interval '1 second', 'page.' || (ARRAY['view', 'click', 'search', 'error'])[n % 4 + 1],
       CASE WHEN n % 5 > 0 THEN md5('user' || n % (120 * {unit}) + 1)::uuid END, sqrt(n), jsonb_build_object('path', '/products/' || n % 4000,
       'session', md5((n / 12)::text), 'milliseconds', n % 3000, 'tags', jsonb_build_array('web', 'v' || n % 40))
FROM generate_series(1, 1000 * {unit}) k, LATERAL (SELECT k::bigint * 7907 AS n) t;
