"""Registers one plugin in a new process and reports what imported torch.

Run as a script, not as a module: importing `dddm.testing` imports torch.
"""

import contextlib
import importlib
import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from dddm.interfaces.info import DatasetInfo
from dddm.interfaces.plugin import RecipeContext
from dddm.recipe.merge import Node
from dddm.recipe.reader import Reader
from dddm.registry.catalogue import Catalogue
from dddm.registry.component import Component
from dddm.registry.registrar import PluginRegistrar


def register(*, name: str, value: str) -> dict[str, Any]:
    """What imported torch: `registering`, or the functions of the components listed by id."""
    declarations = PluginRegistrar(plugin=name, package="", version="")
    EntryPoint(name=name, value=value, group="dddm").load().dddm_register(declarations)
    if "torch" in sys.modules:
        return {"registering": True, "components": []}
    catalogue = Catalogue(declarations.components)
    for component in declarations.components:
        call_functions(component, catalogue)
        if "torch" in sys.modules:
            return {"registering": False, "components": [component.id]}
    return {"registering": False, "components": []}


def call_functions(component: Component, catalogue: Catalogue) -> None:
    """Call everything that reading a recipe calls."""
    conformance = component.conformance
    for table in conformance.examples or ({},):
        reader = Reader(Node.from_words({**table, "use": component.id}), catalogue)
        use = reader.component(component.kind, reader.tables, path=())
        if use is None:
            continue
        facts = DatasetInfo(shape=conformance.shapes[0], train_images=1000)
        context = RecipeContext(data=facts, tables={})
        with contextlib.suppress(Exception):
            list(component.check(use.options, context) if component.check else ())
        with contextlib.suppress(Exception):
            component.weights_for(use.options)
        with contextlib.suppress(Exception):
            _ = component.describe(use.options) if component.describe else None


if __name__ == "__main__":
    importlib.invalidate_caches()
    Path(sys.argv[3]).write_text(json.dumps(register(name=sys.argv[1], value=sys.argv[2])))
