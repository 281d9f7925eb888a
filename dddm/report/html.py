"""Renders the templates of this package; everything in them that comes from a file is escaped."""

import base64
from pathlib import Path
from typing import Any, Final

import jinja2
from PIL import Image

from dddm.report.charts import COLOURS
from dddm.report.wording import duration, number, spread
from dddm.support.images import png_bytes
from dddm.support.quantities import counted, evaluations_note

_HERE: Final = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """The template's page, which holds style and pictures and needs no other file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "counted": counted, "data_uri": _data_uri, "duration": duration, "number": number,
        "spread": spread,
    }  # fmt: skip
    environment.globals |= {
        "colours": COLOURS, "evaluations_note": evaluations_note,
    }  # fmt: skip
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def _data_uri(picture: Image.Image) -> str:
    contents = base64.b64encode(png_bytes(picture)).decode("ascii")
    return f"data:image/png;base64,{contents}"
