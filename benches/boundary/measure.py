"""Reads the same splits through every language, in turn: `measure.py SERVICE-URL BUILD-DIRECTORY COMMANDS [--rounds N] [--times N]`.

COMMANDS is a JSON object: for each name the command that reads, to which ENDPOINT TOKEN-FILE TIMES are added. Each command runs once
with TIMES 1 and once with TIMES 1 + N in a round; the difference is what N reads cost, without the start of the program.
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
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--times", type=int, default=20)
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
seconds, cpu = {name: [] for name in commands}, {name: [] for name in commands}
for _ in range(arguments.rounds):
    for name in commands:
        start, whole = read(name, 1), read(name, 1 + arguments.times)
        if whole.facts["rows"] != rows[name] * (1 + arguments.times):
            sys.exit(f"{name} read {whole.facts['rows']} rows")
        seconds[name].append(whole.seconds - start.seconds)
        cpu[name].append(whole.cpu - start.cpu)

total = rows["C"] * arguments.times
print(f"lineitem, {rows['C']} rows in one split, all columns, 4,096 rows a batch, uncompressed: {arguments.times} reads without the start of the program, medians of")
print(f"{arguments.rounds} interleaved rounds; {os.cpu_count()} cores, shared with the service, with a load of {load:.1f} before the first round")
print(f"\n{'':12}{'rows/s':>14}{'CPU s':>10}{'CPU / C':>10}{'time / C':>10}{'CPU spread':>12}")
least = statistics.median(cpu["C"]), statistics.median(seconds["C"])
for name in commands:
    used, taken = statistics.median(cpu[name]), statistics.median(seconds[name])
    spread = (max(cpu[name]) - min(cpu[name])) / used
    print(f"{name:12}{total / taken:>14,.0f}{used:>10.2f}{used / least[0]:>10.2f}{taken / least[1]:>10.2f}{spread:>12.0%}")
