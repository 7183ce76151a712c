"""The pages: Jinja2 templates with everything escaped, an inline script and style sheet, and a strict policy.

The script and the style sheet are part of the page, so that it is a single file that can be opened from a disk. Its
Content-Security-Policy contains their digests, so that no injected script can run, and allows only addresses of files
beside it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from enhance_cli.errors import UsageError
from enhance_cli.gallery.summary import Summary
from enhance_cli.imaging import atomic

_OURS = b'<meta name="generator" content="enhance">'
_MISSING = "The gallery needs Jinja2, which is not installed; install it with: pip install jinja2."


def gallery(data: Mapping[str, Any], summary: Summary) -> bytes:
    """The page of a gallery.

    Args:
        data: the data for the script (see `build`), JSON.
        summary: the summary above the photos.

    Raises:
        UsageError: Jinja2 is not installed.
    """
    return _page("gallery.html", title=str(data["title"]), data=data, summary=summary, script=_own("gallery.js"))


def summary(title: str, figures: Summary) -> bytes:
    """A page with the summary of a report alone.

    Raises:
        UsageError: Jinja2 is not installed.
    """
    return _page("summary.html", title=title, summary=figures, script="")


def write(path: Path, content: bytes) -> None:
    """Write a page to a new file, or replace an earlier page.

    Raises:
        UsageError: something else is there.
        OutputError: it cannot be written.
    """
    if os.path.lexists(path):
        try:
            with path.open("rb") as file:
                ours = _OURS in file.read(1 << 16)
        except OSError:
            ours = False
        if not ours:
            raise UsageError(f"{path} exists and is not a page of enhance, so it is left alone; name another file.")
    atomic.write_atomically(path, content)


def require() -> None:
    """Check that pages can be built.

    Raises:
        UsageError: Jinja2 is not installed.
    """
    if find_spec("jinja2") is None:
        raise UsageError(_MISSING)


def _page(template: str, *, script: str, **values: Any) -> bytes:
    require()
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    style = _own("gallery.css")
    scripts = f"'{_digest(script)}'" if script else "'none'"
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src '{_digest(style)}'; img-src 'self' file:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=PackageLoader("enhance_cli.gallery", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    shown = environment.get_template(template).render(
        policy=Markup(policy),  # made above, of digests
        script=Markup(script),  # from this package
        style=Markup(style),  # from this package
        **values,
    )
    return shown.encode(errors="backslashreplace")  # bytes of names that are not UTF-8


def _own(name: str) -> str:
    return resources.files("enhance_cli.gallery").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
