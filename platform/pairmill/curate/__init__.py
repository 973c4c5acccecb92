"""Curation: clean, score, find duplicates, select; the stages and their wiring."""
