"""The table of a sweep, and the page that shows it.

Read `results` first, then `columns`, then `page`.
"""
