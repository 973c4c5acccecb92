"""Repairs of single texts, one module each; `curate/clean.py` runs them on the rows that `suspects` selects."""
