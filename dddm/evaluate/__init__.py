"""Scores of samples: features, reference statistics, records and which of them compare."""
