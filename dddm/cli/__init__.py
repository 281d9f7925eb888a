"""The command line: one file for each command, which reads words and calls what does the work.

`main` is the entry, `group` the table of commands, `common` the options that commands share.
"""
