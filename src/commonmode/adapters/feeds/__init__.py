"""Feeds: recorded markets, the laboratory, a user's own tables."""
