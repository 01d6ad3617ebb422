"""The whole system on one machine: embedded PostgreSQL, the local cloud, the demo."""
