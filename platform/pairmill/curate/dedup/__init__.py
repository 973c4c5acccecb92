"""Duplicates: exact and near, found as groups and resolved into kept rows and the rows they remove."""
