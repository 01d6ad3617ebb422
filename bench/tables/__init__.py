"""Measure what the number of tables costs, step by step."""
