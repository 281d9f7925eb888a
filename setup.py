"""Which packages the wheel carries; all else stands in pyproject.toml.

`plugins/` is a source root beside the checkout's root, and `recipes/` is installed as the package
`dddm_recipes`, so that no package named `plugins`, `recipes` or `tests` is ever installed.
"""

from setuptools import find_packages, setup

core = find_packages(".", include=["dddm", "dddm.*"])
plugins = find_packages("plugins", include=["dddm*"])

setup(
    packages=[*core, *plugins, "dddm_recipes"],
    package_dir={
        **{name: f"plugins/{name}" for name in plugins if "." not in name},
        "dddm_recipes": "recipes",
    },
    package_data={
        "": ["py.typed", "*.toml", "*.json", "*.safetensors", "*.j2", "*.css"],
        "dddm.scaffold": ["templates/**/*.j2"],
        "dddm_recipes": ["presets/*.toml", "trained/**/*"],
    },
)
