"""Read a recovery point back, every byte of it: plan, check, conclude."""
