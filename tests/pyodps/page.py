"""docs/sdk-conformance.md, and whether it names the public calls of a client's classes."""
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/sdk-conformance.md"


def missing(heading, prefixes):
    """The public methods of classes that the section under a heading does not name. `prefixes`: what stands before a name, by class."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([\w.]+)`", section))
    calls = {prefix + name for kind, prefix in prefixes.items() for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    return sorted(calls - named)
