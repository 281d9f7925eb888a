"""A run on a machine: its folder, batches, checkpoints, devices, events, and how it stops."""
