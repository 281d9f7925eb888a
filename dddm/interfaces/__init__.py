"""All that a plugin author reads: one file for each kind of component.

| File | Component | In the paper |
| --- | --- | --- |
| `plugin` | how a package registers its components (imports no torch) | |
| `deprecation` | how a name that has changed is still known for a while (imports no torch) | |
| `facts` | what is known of images before any is read (imports no torch) | |
| `schedule` | the forward process and how an estimate is formed | eq. 2, 3 |
| `backbone` | the network F_θ(x̂, x_t, t) | §5.1 |
| `metric` | the distance d between an estimate and an image | §4 |
| `target_store` | X̂, one estimate for each training image | algorithm 1 |
| `dataset` | where x_0 comes from | §5 |
| `sampler` | how samples are drawn from a trained network | algorithm 2 |
| `features` | the space in which samples are judged | §5 |
| `observer` | what follows a run | |
"""
