"""Pure functions on arrays: tests, bootstraps, spectra, co-failure; import from the modules."""
