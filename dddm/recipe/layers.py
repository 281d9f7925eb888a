"""The files of a recipe: the one that is named, and those that it extends."""

from pathlib import Path as FilePath

from dddm.errors import RecipeError
from dddm.recipe.problems import Origin, Problem, nearest, refuse
from dddm.recipe.shipped import shipped_file, shipped_names
from dddm.recipe.source import Source


def find_file(recipe: str | FilePath) -> FilePath:
    """The file of a recipe given by its path, or by the name of one that comes with dddm.

    Raises:
        RecipeError: if there is neither.
    """
    path = FilePath(recipe)
    if path.exists():
        return path.absolute()
    shipped = shipped_file(str(recipe))
    if shipped is not None:
        return shipped
    raise RecipeError(
        f"there is no file {recipe}, and no recipe of that name comes with dddm",
        remedy=nearest(str(recipe).removesuffix(".toml"), shipped_names()),
    )


def read_layers(recipe: str | FilePath) -> list[Source]:
    """The recipe's files, the most basic first.

    Raises:
        RecipeError: if one cannot be read, or they extend each other in a circle.
    """
    layers = [Source.read(find_file(recipe))]
    while "extends" in layers[0].tables:
        extending = layers[0]
        base = extending.tables["extends"]
        origin = Origin(source=extending, path=("extends",))
        if not isinstance(base, str):
            refuse([Problem(what="extends must be the path of a recipe, as text", origin=origin)])
        beside = extending.file.parent / base
        file = beside if beside.is_file() else shipped_file(base) or beside
        if any(file.resolve() == known.file.resolve() for known in layers):
            refuse([Problem(what=f"{base} extends this file in a circle", origin=origin)])
        if not file.exists():
            refuse(
                [
                    Problem(
                        what=f"there is no recipe {base}, beside this file or with dddm",
                        remedy="paths in `extends` are relative to the file they stand in",
                        origin=origin,
                        at_value=True,
                    )
                ]
            )
        layers.insert(0, Source.read(file))
    return layers
