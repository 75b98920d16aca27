"""Feeds and stores: all input and output lives here."""
