"""PostgreSQL: connections, programs and the SQL that reads and describes a database."""
