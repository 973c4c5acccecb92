"""Evaluation: tasks of local files or of mteb, their scores with intervals, comparisons of runs, leaks."""
