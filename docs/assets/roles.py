"""Turns the markup of docstrings into Markdown: roles and double colons of reStructuredText, and plain ``<``."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":\w+:`~?([^`]+)`")
# Code is left as it is; Markdown takes other text such as <a, b> for HTML.
CODE_OR_LESS = re.compile(r"(``[^`]*``|`[^`]*`)|<")


class Roles(Extension):
    """Changes docstrings as they are read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called with every module, class, function and attribute."""
        if obj.docstring is not None:
            text = ROLE.sub(r"`\1`", obj.docstring.value).replace("::\n", ":\n")
            obj.docstring.value = CODE_OR_LESS.sub(lambda found: found[1] or "&lt;", text)
