"""Writes a run as a folder that the library diffusers reads (see `dddm.generate.pipeline`).

    model_index.json, pipeline.py          what diffusers looks for, and the class of the pipeline
    network/                               a portable run
    network/trained.py                     the class of this component
    diffusion_pytorch_model.safetensors    nothing
    README.md                              how to load it

The modules are one import each: diffusers takes classes of another package from them alone.  Of
weights in safetensors it downloads none unless a file has the name of the empty one.
"""

import importlib.metadata
import json
from pathlib import Path
from typing import Final

from safetensors.torch import save_file

from dddm.errors import EnvironmentProblem
from dddm.report.portable_run import refuse_existing, write_portable_run
from dddm.support.files import atomic_directory
from dddm.training.context import RunContext

_COMPONENT: Final = "network"
_CLASSES: Final = {"pipeline": "Pipeline", f"{_COMPONENT}/trained": "Network"}
_MODULE: Final = '''"""Made by dddm, which it needs: `pip install 'dddm[diffusers]'`."""

from dddm.generate.pipeline import {}
'''
_CARD: Final = """---
library_name: diffusers
pipeline_tag: unconditional-image-generation
tags: ["dddm", "few-step"]
---

# {name}

Needs `pip install 'dddm[diffusers]'`.  What the network is, how it was trained and how its samples
score stands in [its own card](network/README.md).

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{name}", trust_remote_code=True)
pictures = pipeline(batch_size=16, num_inference_steps=1, seed=0).images
```
"""


def write_pipeline_folder(
    context: RunContext,
    path: Path,
    *,
    precision: str = "float32",
    images: int | None = None,
) -> list[str]:
    """Write the run of `context` to the new folder `path`; sentences that a user should read.

    Args:
        precision: of the stored weights; samples are computed in float32.
        images: how many of each set of samples go along.

    Raises:
        EnvironmentProblem: without diffusers.
        DataError, UsageError: as `write_portable_run`.
    """
    try:
        version = importlib.metadata.version("diffusers")
    except importlib.metadata.PackageNotFoundError:
        raise EnvironmentProblem(
            "diffusers is not installed",
            where="--format diffusers",
            remedy="pip install 'dddm[diffusers]'",
        ) from None
    refuse_existing(path)
    with atomic_directory(path) as aside:
        notes = write_portable_run(
            context, aside / _COMPONENT, name=_COMPONENT, precision=precision, images=images
        )
        for module, its_class in _CLASSES.items():
            (aside / f"{module}.py").write_text(_MODULE.format(its_class), encoding="utf-8")
        index = {
            "_class_name": ["pipeline", _CLASSES["pipeline"]],
            "_diffusers_version": version,
            _COMPONENT: ["trained", _CLASSES[f"{_COMPONENT}/trained"]],
        }
        save_file({}, aside / "diffusion_pytorch_model.safetensors")
        text = json.dumps(index, indent=2) + "\n"
        (aside / "model_index.json").write_text(text, encoding="utf-8")
        (aside / "README.md").write_text(_CARD.format(name=path.name), encoding="utf-8")
    return notes
