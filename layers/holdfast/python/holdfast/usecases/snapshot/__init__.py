"""Take a recovery point: start, hold, plan, dump, seal, fail."""
