"""The edge: what speaks to PostgreSQL, AWS and the clock, in the terms of the ports."""
