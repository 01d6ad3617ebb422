"""Restore a recovery point into a new database: assess, prepare, load, finish, prove, validate, report."""
