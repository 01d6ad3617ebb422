"""
Messages between states, and the documents that lie in the buckets.

All are frozen models that refuse unknown fields. Messages carry ids, pointers and counts, never rows,
secrets or connection strings; whatever grows with the database lies in a document in a bucket.
"""
