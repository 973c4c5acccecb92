"""Deduplication of more rows than one task can hold: the same answer as the single task's, in committed units."""
