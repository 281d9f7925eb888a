"""How samples are judged: formulas on tensors of features alone.

They know no recipe, file or device.  Features are (N, D) for N images and D dimensions.
"""
