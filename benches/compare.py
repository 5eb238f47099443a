#!/usr/bin/env python3
"""Measures the library next to everything that reads the same bytes: interleaved runs over bodies that the service keeps in memory.

    compare.py SERVICE-URL BUILD-DIRECTORY [--rows ROWS] [--runs N] [--times N] [--python PYTHON] [--classpath CLASSPATH]

CPU is user + system time of the client process alone (wait4), its start included; each run reads the table --times times, without compression
four times as often, so that the start counts for little. --rows ROWS measures one stream, and the official clients, at a service whose batches have so many rows whatever it
is asked for. The official clients are measured if --python and --classpath name them; from them the cost of their start
is taken off, which a run that reads a table of five rows tells. What no line names is not measured.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
import urllib.request

GIB = 1 << 30
OFFICIAL_BYTES = 4 * GIB  # at least so much is read by an official client
ACCEPT = {"none": None, "lz4": "LZ4_FRAME", "zstd": "ZSTD"}
TABLE = "lineitem"
SMALL_TABLE = "region"
BATCH_ROWS = (4096, 20000)  # what is asked for by default, and the most that the protocol lets one ask for
CORES = os.cpu_count() or 1


class Run:
    """What a command took: seconds, CPU seconds, and the JSON that it printed, or the bytes that curl says it received."""

    def __init__(self, command):
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, complaints = process.stdout.read().decode(), process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        self.seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command[0]} failed with {process.returncode}: {complaints[-1000:]}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.facts = json.loads(output) if output.startswith("{") else {"received": sum(int(line) for line in output.split())}


class Sessions:
    """Reads that are planned once: for the library by token, for curl by the URLs of their bodies."""

    def __init__(self, service, build):
        self.service, self.build, self.tokens, self.bodies = service, build, {}, {}

    def token(self, splits, protocol=1):
        key = splits, protocol
        if key not in self.tokens:
            self.tokens[key] = f"{self.build}/token-{splits}-{protocol}"
            command = [f"{self.build}/read_split", "plan", f"{self.service}/api", f"local.default.{TABLE}", str(splits), self.tokens[key], str(protocol)]
            subprocess.run(command, check=True)
        return self.tokens[key]

    def urls(self, splits, rows):
        base = f"{self.service}/api/storage/v1/projects/local/schemas/default/tables/{TABLE}"
        if splits not in self.bodies:
            plan = {"SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": splits, "CrossPartition": True},
                    "ArrowOptions": {"TimestampUnit": "nano", "DatetimeUnit": "milli"}}  # fmt: skip
            request = urllib.request.Request(f"{base}/sessions?session_type=batch_read", json.dumps(plan).encode(), {"Content-Type": "application/json"})
            session = json.load(urllib.request.urlopen(request))
            while session["SessionStatus"] == "INIT":
                time.sleep(0.05)
                session = json.load(urllib.request.urlopen(f"{base}/sessions/{session['SessionId']}?session_type=batch_read"))
            self.bodies[splits] = session
        session = self.bodies[splits]
        data = f"{base}/data?session_id={session['SessionId']}&max_batch_rows={rows}&data_format_type=ARROW&data_format_version=V5"
        return [f"{data}&split_index={index}" for index in range(session["SplitsCount"])]


class Case:
    """One shape of a read and the commands that make it."""

    def __init__(self, sessions, compression, rows, splits, times):
        self.sessions, self.compression, self.rows, self.splits, self.times = sessions, compression, rows, splits, times
        self.threads = 1 if splits == 1 else CORES
        self.name = f"{compression}, {rows} rows, {splits} split{'s' if splits > 1 else ''}"

    def library(self, way, protocol=1):
        build, service = self.sessions.build, self.sessions.service
        return [f"{build}/read_split", "read", f"{service}/api", self.sessions.token(self.splits, protocol), self.compression, str(self.rows), way,
                str(self.threads), str(self.times)]  # fmt: skip

    def curl(self):
        command = ["curl", "--silent", "--show-error", "--no-progress-meter", "--fail", "--write-out", "%{size_download}\n"]
        if ACCEPT[self.compression]:
            command += ["--header", f"Accept-Encoding: {ACCEPT[self.compression]}"]
        if self.threads > 1:
            command += ["--parallel", "--parallel-max", str(self.threads)]
        for url in self.sessions.urls(self.splits, self.rows) * self.times:
            command += ["--output", os.devnull, url]
        return command

    def bench(self, *arguments):
        return [f"{self.sessions.build}/maxstorage-bench", *arguments, str(self.times)]

    def commands(self):
        """By name, in the order of a round."""
        commands = {}
        if self.splits == 1:
            url = self.sessions.urls(1, self.rows)[0]
            accept = ACCEPT[self.compression] or "identity"
            commands["raw"] = self.bench("raw", url, accept)
            commands["rust"] = self.bench("rust", f"{self.sessions.service}/api", self.sessions.token(1), self.compression, str(self.rows))
            if self.compression != "none":
                body = f"{self.sessions.build}/body"
                request = urllib.request.Request(url, headers={"Accept-Encoding": accept})
                with urllib.request.urlopen(request) as answer, open(body, "wb") as file:
                    file.write(answer.read())
                commands["codec"] = self.bench("codec", body, self.compression)
        return commands | {"curl": self.curl(), "split": self.library("split"), "scan": self.library("scan"), "stream": self.library("stream")}


def measure(case, runs):
    """The runs of each command, one of each in turn. A first round, which is not counted, shows that all read the same bytes."""
    commands = case.commands()
    first = {name: Run(command) for name, command in commands.items()}
    facts = first["split"].facts
    for name, run in first.items():
        wanted = {"rows": facts["rows"]} if "rows" in run.facts else {"decoded": None} if name == "codec" else {"received": facts["bytes_wire"]}
        for key, value in wanted.items():
            # A raw socket sees the framing of HTTP as well.
            if value is not None and run.facts[key] != value and not (name == "raw" and 1 <= run.facts[key] / value < 1.01):
                sys.exit(f"{case.name}: {name} has {key} = {run.facts[key]}, the library has {value}: not the same bodies")
    taken = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            taken[name].append(Run(command))
    if "codec" in taken:
        for run in taken["codec"]:
            run.cpu = run.seconds = run.facts["seconds"]
    return facts, taken


def median(values):
    return statistics.median(values)


def ratio(part, whole):
    """NaN where the whole is nothing: a short read may cost less CPU time than the system counts."""
    return part / whole if whole else math.nan


def spread(values):
    return f"{ratio(max(values) - min(values), median(values)) * 100:.0f}%"


COLUMNS = ["raw", "curl", "codec", "rust", "split", "scan", "stream"]
TITLES = ["raw socket", "curl", "codec", "Rust path", "C split", "C scan", "C stream"]


def head(title, columns):
    print(f"\n{title:26}" + "".join(f"{column:>16}" for column in columns))


def table(cases, runs, title, columns=COLUMNS, titles=TITLES):
    """Measures cases and prints a line for each; the medians of CPU seconds per GiB by case and name."""
    print(f"\n{title}")
    head("", titles + ["C / floor", "C / Rust"])
    results, speeds = {}, []
    for case in cases:
        facts, taken = measure(case, runs)
        decoded = facts["bytes_decoded"]
        cost = {name: median([run.cpu for run in taken[name]]) / (decoded / GIB) for name in taken}
        cost["peak"] = max(run.facts["peak_kib"] for run in taken["split"]) * 1024 / 1e6
        floor = cost["curl"] + cost.get("codec", 0)
        line = "".join(f"{f'{cost[name]:.3f} {spread([run.cpu for run in taken[name]]):>5}' if name in cost else '-':>16}" for name in columns)
        against_rust = f"{ratio(cost['split'], cost['rust']):.2f}" if "rust" in cost else "-"
        print(f"{case.name:26}{line}{cost['split'] / floor:>16.2f}{against_rust:>16}", flush=True)
        speeds.append((case.name, {name: ratio(decoded / 1e6, median([run.seconds for run in taken[name]])) for name in taken}))
        results[case.compression, case.rows, case.splits] = cost | {"decoded": decoded, "floor": floor}
    head("MB/s of decoded data", titles)
    for name, speed in speeds:
        print(f"{name:26}" + "".join(f"{f'{speed[column]:.0f}' if column in speed else '-':>16}" for column in columns))
    return results


def official(sessions, arguments, rows, results):
    """The official clients: how much more than the library they take over the same version of the protocol, by client and compression."""
    clients, service = {}, sessions.service
    if arguments.python:
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pyodps_read.py")
        clients |= {"PyODPS v1": (1, [arguments.python, script, "v1"]), "odps.maxstorage (v3)": (3, [arguments.python, script, "maxstorage"])}
    if arguments.classpath:
        java = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-Xmx1g", "-cp", arguments.classpath, "Read"]
        clients["Java table-api (v1)"] = (1, java)
    if not clients:
        return {}
    print(f"\nOfficial clients, {rows} rows, 1 split, at least {arguments.official_bytes / GIB:.1f} GiB, one run; start-up = the same program over {SMALL_TABLE} (5 rows), the least of 3")
    print("C split = the library over the same version of the protocol, the median of runs right before")
    head("", ["start-up CPU s", "GiB", "CPU s", "CPU s/GiB gross", "CPU s/GiB net", "C split", "net / C split", "net / raw socket"])
    more = {}
    for name, (protocol, command) in clients.items():
        for compression in ACCEPT:
            ours = [Run(Case(sessions, compression, rows, 1, arguments.times).library("split", protocol)) for _ in range(arguments.runs)]
            decoded = ours[0].facts["bytes_decoded"]
            split = median([run.cpu for run in ours]) / (decoded / GIB)
            one = decoded / arguments.times
            times = -(-arguments.official_bytes // int(one))
            shape = [compression, str(rows)]
            start = min(Run([*command, service, SMALL_TABLE, *shape, "1"]).cpu for _ in range(3))
            run = Run([*command, service, TABLE, *shape, str(times)])
            gib = one * times / GIB
            net = (run.cpu - start) / gib
            more[name, compression] = ratio(net, split)
            # No client that reads from a socket takes less than the raw socket does: what it can be ahead by is bounded.
            figures = [start, gib, run.cpu, run.cpu / gib, net, split, more[name, compression], ratio(net, results[compression, rows, 1]["raw"])]
            print(f"{f'{name}, {compression}':26}" + "".join(f"{figure:>16.2f}" for figure in figures), flush=True)
    return more


def goals(results, more, at):
    """What is wanted, what is, and whether that will do; `more` is what the official clients take at `at` rows."""
    few, lines = BATCH_ROWS[0], []
    for (compression, rows, _), result in results.items():
        floor, wanted = ("curl", 1.0 if rows == few else 1.2) if compression == "none" else ("(curl + codec)", 1.15)
        lines.append((f"{compression}, {rows} rows: C / {floor}", ratio(result["split"], result["floor"]), wanted, False))
    singles = [ratio(result["split"], result["rust"]) for (_, _, splits), result in results.items() if splits == 1]
    lines.append(("C ABI / Rust path, median of the cases", median(singles), 1.01, False))
    if ("none", few, 1) in results:
        lines.append((f"peak memory of one stream, none, {few} rows, MB", results["none", few, 1]["peak"], 15.0, False))
    for compression, wanted in (("none", 2.5), ("lz4", 1.9), ("zstd", 1.7)):
        lines += [(f"{name}, {compression}, {at} rows: net / C", figure, wanted, True) for (name, used), figure in more.items() if used == compression]
    print(f"\n{'goal':52}{'here':>8}{'wanted':>10}")
    for name, figure, wanted, at_least in lines:
        met = figure >= wanted if at_least else figure <= wanted
        print(f"{name:52}{figure:>8.2f}{'>=' if at_least else '<=':>5}{wanted:>5.2f}  {'met' if met else 'MISSED'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("build")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--python")
    parser.add_argument("--classpath")
    parser.add_argument("--official-bytes", type=int, default=OFFICIAL_BYTES)
    arguments = parser.parse_args()
    sessions = Sessions(arguments.service, arguments.build)
    print(f"Reading local.default.{TABLE}, all columns; medians of {arguments.runs} interleaved runs, (max - min) / median behind them; each run reads everything")
    print(f"{arguments.times} times, without compression in one stream 4 times as often. {CORES} cores, shared by client and service, with a load of {os.getloadavg()[0]:.1f} before the first run. The service keeps the encoded")
    print("bodies in memory (--replay) and checks no signature (--no-auth). CPU s/GiB: user + system time of the client process per GiB of decoded")
    print("data. floor = curl on the same bytes + the C codec alone on the same buffers. Read the ratios; other work on the machine moves them too.")
    sizes = (arguments.rows,) if arguments.rows else BATCH_ROWS
    # The start of a program (loading it, its libraries) is some milliseconds: of a short run that is more than the C boundary takes.
    times = {compression: arguments.times * (1 if ACCEPT[compression] else 4) for compression in ACCEPT}
    singles = [Case(sessions, compression, rows, 1, times[compression]) for rows in sizes for compression in ACCEPT]
    results = table(singles, arguments.runs, "One stream, CPU s/GiB")
    if arguments.rows:
        return goals(results, official(sessions, arguments, arguments.rows, results), arguments.rows)
    shared = [Case(sessions, compression, BATCH_ROWS[0], splits, arguments.times) for splits in (4, 16) for compression in ACCEPT]
    names, titles = ["curl", "split", "scan", "stream"], ["curl --parallel", "C split", "C scan", "C stream"]
    table(shared, arguments.runs, f"Several splits, {CORES} threads, CPU s/GiB; the floor is without the codec here", names, titles)
    goals(results, official(sessions, arguments, BATCH_ROWS[0], results), BATCH_ROWS[0])


if __name__ == "__main__":
    main()
