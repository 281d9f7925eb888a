"""The command line: one file per command, which reads its words and calls what does the work.

`main` is the entry point, `commands` the table of commands, `options` what commands share.
"""
