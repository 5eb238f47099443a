#!/usr/bin/env python3
"""Every function of the C interface is called by every binding, or named in docs/bindings-evidence.md with what a user does instead."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = "docs/bindings-evidence.md"

# How each language calls a function, in files that are written by hand: the generated ones have all of them.
BINDINGS = {
    "C++": ("bindings/cpp/include", "*.hpp", r"\b(ms_\w+)"),
    "Go": ("bindings/go", "*.go", r"\bC\.(ms_\w+)|^// .*\b(ms_\w+)\("),
    "Java": ("bindings/java/src/main/java", "*.java", r"(?:\.|::)(ms_\w+)"),
    "Python": ("bindings/python/src", "*.py", r"\b(?:_?lib|loaded)\.(ms_\w+)"),
}
LEFT_OUT = re.compile(r"_test\.go$|/(Jni)?Functions\.java$")


def code(path):
    """A file without comments, except for those that are the C of cgo."""
    text = path.read_text(encoding="utf-8")
    preamble = ""
    if path.suffix == ".go":
        preamble, _, text = text.rpartition('\nimport "C"\n')
    if path.suffix != ".py":
        text = re.sub(r"//.*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    return preamble + text


def called(folder, files, pattern):
    found = set()
    for path in (ROOT / folder).rglob(files):
        if not LEFT_OUT.search(path.as_posix()):
            found |= {name for match in re.finditer(pattern, code(path), re.M) for name in match.groups() if name}
    return found


functions = set((ROOT / "tests/abi/symbols.txt").read_text().split())
rows = re.findall(r"^\| ((?:`ms_\w+`(?:, )?)+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / PAGE).read_text(encoding="utf-8"), re.M)
left_out = {}
for names, languages, instead in rows:
    for name in re.findall(r"ms_\w+", names):
        for language in languages.strip().split(", "):
            left_out[name, language] = instead.strip()

wrong = [f"{PAGE}: {name} is no function, or {language} no language" for name, language in left_out if name not in functions or language not in BINDINGS]
wrong += [f"{PAGE}: {name} in {language}: what to do instead?" for (name, language), instead in left_out.items() if len(instead) < 10]
for language, where in BINDINGS.items():
    calls = called(*where)
    if len(calls & functions) < 80:
        wrong.append(f"{language}: only {len(calls & functions)} calls were found")
    wrong += [f"{language} does not call {name}, and {PAGE} says nothing of it" for name in sorted(functions - calls) if (name, language) not in left_out]
    wrong += [f"{language} calls {name}: {PAGE} says that it does not" for name in sorted(functions & calls) if (name, language) in left_out]
print("\n".join(wrong) or f"{len(functions)} functions in {len(BINDINGS)} languages, {len(left_out)} exceptions")
sys.exit(bool(wrong))
