"""What a whole run or sweep does, in order: train, sample, evaluate, report."""
