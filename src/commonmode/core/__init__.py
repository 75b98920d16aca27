"""Ids, units, results and failure reasons, random streams, protocols. Standard library and numpy."""
