"""Training on a machine: run folder, batches, checkpoints, devices, events, and the loop.

Read `loop` first.
"""
