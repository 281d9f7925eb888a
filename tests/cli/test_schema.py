"""`dddm schema`."""

import json

from click.testing import CliRunner
from toy_plugins import toy_catalogue

from dddm.cli.schema import schema
from dddm.recipe.schema import schema_of


def test_it_prints_the_schema_of_what_is_installed() -> None:
    """As JSON on stdout."""
    done = CliRunner().invoke(schema, [], obj={"catalogue": toy_catalogue()})
    assert json.loads(done.stdout) == schema_of(toy_catalogue())
