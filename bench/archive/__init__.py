"""Compare Holdfast's backup and restore with pg_dump and pg_restore, in one run on one machine."""
