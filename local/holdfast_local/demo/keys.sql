-- Keys, indexes, foreign keys and everything that is derived from rows.

ALTER TABLE _prisma_migrations ADD PRIMARY KEY (id);
ALTER TABLE teams ADD PRIMARY KEY (id), ADD UNIQUE (slug);
ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email);
CREATE INDEX users_tags ON users USING gin (tags);
ALTER TABLE "_TeamToUser" ADD CONSTRAINT "_TeamToUser_AB_pkey" PRIMARY KEY ("A", "B"),
    ADD FOREIGN KEY ("A") REFERENCES teams ON DELETE CASCADE,
    ADD FOREIGN KEY ("B") REFERENCES users ON DELETE CASCADE;
ALTER TABLE products ADD PRIMARY KEY (id), ADD UNIQUE (sku);
CREATE INDEX products_search ON products USING gin (search);
ALTER TABLE orders ADD PRIMARY KEY (id), ADD FOREIGN KEY (user_id) REFERENCES users;
CREATE INDEX orders_open ON orders (placed_at) WHERE status IN ('placed', 'paid');
ALTER TABLE order_items ADD PRIMARY KEY (order_id, line),
    ADD FOREIGN KEY (order_id) REFERENCES orders ON DELETE CASCADE,
    ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE refunds ADD PRIMARY KEY (id), ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE attachments ADD PRIMARY KEY (id), ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE audit_logs ADD PRIMARY KEY (id);
CREATE INDEX audit_logs_at ON audit_logs USING brin (at);
ALTER TABLE events ADD PRIMARY KEY (id, occurred_at);
ALTER TABLE billing.invoices ADD PRIMARY KEY (number), ADD FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE;

CREATE VIEW customers AS SELECT id, email, full_name FROM users WHERE role = 'customer';
CREATE MATERIALIZED VIEW monthly_revenue AS
    SELECT date_trunc('month', placed_at, 'UTC') AS month, count(*) AS orders, sum(total) AS revenue
    FROM orders WHERE status <> 'cart' GROUP BY 1;
CREATE UNIQUE INDEX ON monthly_revenue (month);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END$$;
CREATE TRIGGER users_touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

ALTER TABLE billing.invoices ENABLE ROW LEVEL SECURITY;
CREATE POLICY recent ON billing.invoices FOR SELECT USING (issued_on > DATE '2026-01-01');

GRANT USAGE ON SCHEMA billing TO shop_reporting;
GRANT SELECT ON ALL TABLES IN SCHEMA public, billing TO shop_reporting;
GRANT SELECT (number, amount) ON billing.invoices TO shop_reporting;

ANALYZE;
