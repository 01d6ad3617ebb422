-- Rows, made by the server. {unit} grows with the size that was asked for; each lane runs in a session of its own.

-- lane: sentences
SELECT setseed(0.1);
INSERT INTO sentences
SELECT n, string_agg(translate(left(md5(rank::text), 2 + rank % 9), '0123456789', 'aeioulnrst'), ' ')
FROM (SELECT n, (4000 * random() ^ 2.5)::int AS rank FROM generate_series(0, 19999) n, generate_series(1, 30) w) drawn
GROUP BY n;
ANALYZE sentences;

-- lane: shop
SELECT setseed(0.2);
INSERT INTO customers (email, full_name, country, balance, preferences, created_at)
SELECT 'person.' || n || '@example.com', initcap(left(md5(n::text), 6)) || ' ' || initcap(left(md5((n / 7)::text), 8)),
       (ARRAY['CZ', 'DE', 'US', 'JP', 'BR'])[1 + n % 5], (random() * 10000)::numeric(12, 2),
       jsonb_build_object('theme', CASE n % 2 WHEN 0 THEN 'dark' ELSE 'light' END, 'limits', jsonb_build_array(n % 10, n * 1.5)),
       timestamptz '2024-01-01Z' + n * interval '41 seconds'
FROM generate_series(1, 200 * {unit}) n;
INSERT INTO orders (customer_id, status, total, note, placed_at)
SELECT 1 + (random() * (200 * {unit} - 1))::int, (ARRAY['placed', 'paid', 'shipped', 'delivered'])[1 + n % 4],
       (random() * 900)::numeric(10, 2), CASE n % 9 WHEN 0 THEN 'Leave at the door, ring ' || n % 5 END,
       timestamptz '2025-01-01Z' + n * interval '19 seconds'
FROM generate_series(1, 600 * {unit}) n;
INSERT INTO order_lines
SELECT n / 3 + 1, n % 3 + 1, 1 + (random() * 20000)::int, 1 + n % 4, (random() * 300)::numeric(10, 2)
FROM generate_series(0, 1800 * {unit} - 1) n;

-- lane: machines
SELECT setseed(0.3);
INSERT INTO readings (device, at, value, quality)
SELECT n % 500, timestamptz '2026-01-01Z' + n / 500 * interval '10 seconds', 20 + 15 * random(), CASE WHEN n % 6 > 0 THEN n % 100 END
FROM generate_series(1, 3000 * {unit}) n;
INSERT INTO audit_log (at, actor, action, change)
SELECT timestamptz '2026-01-01Z' + n * interval '3 seconds', md5((n % 5000)::text)::uuid,
       (ARRAY['login', 'create', 'update', 'delete'])[1 + n % 4],
       jsonb_build_object('entity', 'order', 'id', n, 'before', jsonb_build_object('status', 'placed', 'version', n % 9),
                          'after', jsonb_build_object('status', 'paid', 'version', n % 9 + 1), 'checksum', md5(random()::text),
                          'agent', 'Mozilla/5.0 (X11; Linux x86_64) build ' || n % 300)
FROM generate_series(1, 500 * {unit}) n;

-- lane: papers
SELECT setseed(0.4);
INSERT INTO documents (id, customer_id, title, body, attributes, tags, written_at)
SELECT md5('document' || d)::uuid, 1 + d % (200 * {unit}), initcap(a.words), text.body,
       jsonb_build_object('author', md5((d % 900)::text), 'words', length(text.body), 'abstract', b.words, 'revision', d % 30),
       ARRAY['topic-' || d % 40, 'year-' || 2000 + d % 26], timestamptz '2020-01-01Z' + d * interval '7 minutes'
FROM generate_series(1, 60 * {unit}) d
CROSS JOIN LATERAL (
    SELECT string_agg(s.words, '. ') AS body
    FROM generate_series(1, 8 + d % 60) w JOIN sentences s ON s.n = (d * 7919::bigint + w * 104729::bigint * (1 + d % 13)) % 20000
) AS text
JOIN sentences a ON a.n = (d * 31::bigint) % 20000
JOIN sentences b ON b.n = (d * 37::bigint) % 20000;
