"""Reads the same splits through every language, in turn: `measure.py SERVICE-URL BUILD-DIRECTORY COMMANDS [--rounds N] [--times N] [--warm N]`.

COMMANDS is a JSON object: for each name the command that reads, to which ENDPOINT TOKEN-FILE TIMES are added. Differences of two runs are what
reads cost without the start of the program: 1 and 1 + --times reads tell of the first ones, --warm and twice --warm of those behind, when a JVM has
compiled what it will.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from compare import Run, Sessions  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("service")
parser.add_argument("build")
parser.add_argument("commands")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--times", type=int, default=20)
parser.add_argument("--warm", type=int, default=100)
arguments = parser.parse_args()
commands = json.loads(arguments.commands)
token = Sessions(arguments.service, arguments.build).token(1)


def read(name, times):
    values = {"ENDPOINT": f"{arguments.service}/api", "TOKEN": token, "TIMES": str(times)}
    return Run([values.get(word, word) for word in commands[name]])


load = os.getloadavg()[0]
rows = {name: read(name, 1).facts["rows"] for name in commands}
if len(set(rows.values())) != 1:
    sys.exit(f"not the same rows: {rows}")


def difference(name, less, more):
    """Seconds and CPU seconds for each read between the two."""
    short, long = read(name, less), read(name, more)
    for run, times in (short, less), (long, more):
        if run.facts["rows"] != rows[name] * times:
            sys.exit(f"{name} read {run.facts['rows']} rows")
    return (long.seconds - short.seconds) / (more - less), (long.cpu - short.cpu) / (more - less)


first, warm = {name: [] for name in commands}, {name: [] for name in commands}
for _ in range(arguments.rounds):
    for name in commands:
        first[name].append(difference(name, 1, 1 + arguments.times))
        warm[name].append(difference(name, arguments.warm, 2 * arguments.warm))


def median(found, column):
    return statistics.median(one[column] for one in found)


SECONDS, CPU = 0, 1
print(f"lineitem, {rows['C']} rows in one split, all columns, 4,096 rows a batch, uncompressed. Medians of {arguments.rounds} interleaved rounds of {arguments.warm} reads")
print(f"after {arguments.warm} others; the last column has the first {arguments.times} behind the very first. {os.cpu_count()} cores, shared with the service, with a load of {load:.1f} at the start")
print(f"\n{'':12}{'rows/s':>14}{'CPU ms':>10}{'CPU / C':>10}{'time / C':>10}{'CPU spread':>12}{'first CPU / C':>15}")
for name in commands:
    used, taken = median(warm[name], CPU), median(warm[name], SECONDS)
    each = [one[CPU] for one in warm[name]]
    print(f"{name:12}{rows[name] / taken:>14,.0f}{used * 1000:>10.2f}{used / median(warm['C'], CPU):>10.2f}{taken / median(warm['C'], SECONDS):>10.2f}"
          f"{(max(each) - min(each)) / used:>12.0%}{median(first[name], CPU) / median(first['C'], CPU):>15.2f}")
