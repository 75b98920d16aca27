"""Feeds: recorded markets, the laboratory, a user's own tables, Deribit's own JSON."""
