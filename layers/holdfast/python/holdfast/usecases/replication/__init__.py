"""How far the second region is behind."""
