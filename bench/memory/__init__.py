"""Measure the memory of one worker with narrow rows and with very long ones."""
