"""All that a plugin author reads: one file for each kind of component.

| File | Component | In the paper |
| --- | --- | --- |
| `plugin` | how a package registers its components (imports no torch) | |
| `info` | what a component says of itself before it is built (imports no torch) | |
| `objective` | what one training step asks of the network | algorithm 1 |
| `schedule` | the forward process and how an estimate is formed | eq. 2, 3 |
| `parametrization` | how the network's output becomes an estimate | eq. 3 |
| `backbone` | the network F_θ(x̂, x_t, t) | §5.1 |
| `metric` | the distance d between an estimate and an image | §4 |
| `target_store` | X̂, one estimate for each training image | algorithm 1 |
| `optimizer` | how gradients become new weights | §5.1 |
| `learning_rate` | the learning rate over a run (imports no torch) | §5.1 |
| `dataset` | where x_0 comes from | §5 |
| `sampler` | how samples are drawn from a trained network | algorithm 2 |
| `features` | the space in which samples are scored | §5 |
| `score` | a number from two sets of features | §5 |
| `measurement` | what a score gives (imports no torch) | |
| `observer` | what follows a run | |
"""
