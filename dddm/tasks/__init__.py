"""What a run does, one file each: train, sample, evaluate, report.

Read `train` first.
"""
