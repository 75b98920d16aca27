"""Indices C2 to C7: co-movement, co-failure, attribution, dispersion."""
