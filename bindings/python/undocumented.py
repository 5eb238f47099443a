#!/usr/bin/env python3
"""Every public name of the package has a docstring, as pdoc finds it."""
import sys

import maxstorage
from pdoc.doc import Class, Module


def undocumented(name):
    found = [] if name.docstring.strip() else [name.fullname]
    if isinstance(name, Class):
        for member in name.members.values():
            if not member.name.startswith("_") and member.taken_from[0].startswith("maxstorage"):
                found += undocumented(member)
    return found


names = [name for name in Module(maxstorage).members.values() if name.name in maxstorage.__all__]
if len(names) != len(maxstorage.__all__) or len(names) < 20:
    sys.exit(f"{len(names)} of {len(maxstorage.__all__)} names were found")
missing = [found for name in names for found in undocumented(name)]
for name in missing:
    print(f"no docstring: {name}")
sys.exit(bool(missing))
