"""Holdfast's own logical backup: what its bytes mean and how they are checked, wherever they lie."""
