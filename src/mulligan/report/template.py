"""From a template and its values to one HTML file: autoescaped, styles inside, nothing to fetch."""

from importlib import resources
from typing import Any

from mulligan import __version__
from mulligan.reading import windows_text
from mulligan.report.words import bpb


def render(name: str, **values: Any) -> str:
    """Return the page of the template `name`; an unknown name in a template is an error, text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("mulligan.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(bpb=bpb, windows=windows_text, count=lambda number: f"{number:,}", zip=zip)
    style = resources.files("mulligan.report").joinpath("templates", "style.css").read_text("utf-8")
    return environment.get_template(name).render(style=Markup(style), version=__version__, **values)
