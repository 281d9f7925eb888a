"""The paper, on tensors alone: knows no recipe, file or device.

Read `training_step` first: it is algorithm 1.  Algorithm 2 is the sampler plugin `fixed-time`.
"""
