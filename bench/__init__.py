"""Measured comparisons with peers; nothing here is a test."""
