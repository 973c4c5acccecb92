"""What vectors tell of pairs: scores of given pairs, new pairs, hard negatives, duplicates of meaning."""
