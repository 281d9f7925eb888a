"""`requires = ["dddm-focal>=1.2"]`: packages that a recipe cannot do without."""

from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dddm.recipe.options import Reading


def check_requirements(reading: Reading) -> None:
    """Note every requirement that is malformed or not met."""
    requires = reading.merged.tables.get("requires", [])
    if not isinstance(requires, list) or not all(isinstance(item, str) for item in requires):
        reading.complain(
            "requires must be a list of requirements, as text",
            path=("requires",),
            remedy='write, for instance, requires = ["dddm-focal>=1.2"]',
            at_value=True,
        )
        return
    for index, text in enumerate(requires):
        path = ("requires", index)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            words = str(error).splitlines()[0]
            reading.complain(f"{text!r} is no requirement: {words}", path=path, at_value=True)
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            reading.missing.add(canonicalize_name(requirement.name))
            reading.complain(
                f"the recipe needs {text}, and {requirement.name} is not installed",
                path=path,
                remedy=f"python -m pip install '{text}'",
                of_plugin=True,
                at_value=True,
            )
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            reading.complain(
                f"the recipe needs {text}, and {requirement.name} {found} is installed",
                path=path,
                remedy=f"python -m pip install '{text}'",
                of_plugin=True,
                at_value=True,
            )
