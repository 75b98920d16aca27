"""Instruments, quotes, chains, snapshots and histories: what the market showed, columnar."""
