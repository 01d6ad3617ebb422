-- Indexes and foreign keys, built when the rows are there.

ALTER TABLE customers ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX customers_email ON customers (lower(email));
ALTER TABLE orders ADD PRIMARY KEY (id);
ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;
CREATE INDEX orders_customer ON orders (customer_id, placed_at DESC);
CREATE INDEX orders_open ON orders (placed_at) WHERE status <> 'delivered';
ALTER TABLE order_lines ADD PRIMARY KEY (order_id, line);
ALTER TABLE order_lines ADD FOREIGN KEY (order_id) REFERENCES orders;
CREATE INDEX order_lines_product ON order_lines (product_id);
ALTER TABLE readings ADD PRIMARY KEY (id);
CREATE INDEX readings_device ON readings (device, at);
ALTER TABLE audit_log ADD PRIMARY KEY (id);
CREATE INDEX audit_log_actor ON audit_log (actor, at);
ALTER TABLE documents ADD PRIMARY KEY (id);
ALTER TABLE documents ADD FOREIGN KEY (customer_id) REFERENCES customers;
CREATE INDEX documents_customer ON documents (customer_id);
CREATE INDEX documents_tags ON documents USING gin (tags);
DROP TABLE sentences;
