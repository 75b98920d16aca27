"""Ids, units, results and failure reasons, random streams, protocols (numpy at most)."""
