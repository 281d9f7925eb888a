"""Plugins: the hook, the loading of entry points, and the catalogue of components."""
