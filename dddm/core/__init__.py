"""What every objective shares, on tensors alone: knows no recipe, file or device.

Read `step` first: it is what one training step hands to the objective.
"""
