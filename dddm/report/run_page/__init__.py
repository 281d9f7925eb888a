"""The report: files of a run → frozen facts → charts and pictures → one HTML page.

Read `page` last: it puts together what the other modules gather.
"""
