"""Pure functions on arrays: tests, bootstraps, spectra, co-failure; import them from their module."""
