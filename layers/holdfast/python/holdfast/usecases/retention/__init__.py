"""Remove what no recovery point needs any more."""
