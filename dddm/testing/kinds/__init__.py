"""The checks: one file for each kind of component, and two for what all promise."""
