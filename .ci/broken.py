"""
Print docs/broken-http.md, which lists what /broken can do.

    python .ci/broken.py > docs/broken-http.md
"""

from __future__ import annotations

import re

from loopbackd.protocols.httpbin.broken.breakage import Breakage
from loopbackd.protocols.httpbin.broken.breakages import BREAKAGES

HEAD = """\
# Broken HTTP

`/broken/{name}` answers wrong on purpose, in one way, so that you can see what your client makes
of it:

    $ curl http://127.0.0.1:62893/broken/empty-reply
    curl: (52) Empty reply from server

A few are right, and often mistaken for wrong. `/broken` has this table as JSON, and as a page for
browsers.

- **client** is what a right client does: it *refuses* the answer, *takes* it, or may do *either*.
- Parameters go into the query: `/broken/reset-after?bytes=100&seconds=0.5`. What is out of bounds,
  or a parameter of others alone, is answered with 400.
- The same bytes come every time. Where there is chance, `seed` decides it; without one it is new
  each time.
- `HEAD` is answered as `GET` is, body included. Afterwards the connection is closed.
- Pages of any origin may read what is readable (`Access-Control-Allow-Origin: *`).

This page is made from the program's own table: `python .ci/broken.py > docs/broken-http.md`.
"""


def marked(text: str) -> str:
    """Our docstrings' marks as Markdown's, safe within a table."""
    return re.sub(r"C\{([^}]*)\}", r"`\1`", text).replace("|", "\\|")


def parameters(one: Breakage) -> str:
    """What it takes: default and bounds."""
    words = []
    for name, span in one.takes.items():
        if name == "seed":
            words.append("`seed`")
        else:
            words.append(f"`{name}={span.default:.10g}` ({span.least:.10g} to {span.most:.15g})")
    return "<br>".join(words)


def page() -> str:
    """All of it."""
    parts, group = [HEAD], ""
    for one in BREAKAGES.values():
        if one.group != group:
            group = one.group
            parts.append(
                f"\n## {group[0].upper()}{group[1:]}\n\n"
                "| name | what is sent | parameters | client | namely | source |\n"
                "|---|---|---|---|---|---|\n"
            )
        words = (
            f"`{one.name}`",
            marked(one.does),
            parameters(one),
            one.verdict.value,
            marked(one.rightly),
            one.source,
        )
        parts.append(f"| {' | '.join(words)} |\n")
    return "".join(parts)


if __name__ == "__main__":
    print(page(), end="")
