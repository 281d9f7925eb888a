"""The pages of a run and of a sweep: files of run folders, gathered and rendered as HTML."""
