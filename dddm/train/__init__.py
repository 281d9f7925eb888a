"""Training on a machine: run folder, batches, checkpoints, devices, events, and the loop.

Read `loop` first.  `dddm.train` is also the public function of that name.
"""

import sys as _sys

from dddm import _CallablePackage

_sys.modules[__name__].__class__ = _CallablePackage
