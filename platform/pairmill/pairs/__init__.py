"""The data model: the pair, its sources, the ledger, quarantine."""
