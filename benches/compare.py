#!/usr/bin/env python3
"""Measures the library next to curl: the same bodies, the same service, interleaved runs, medians.

    compare.py SERVICE-URL READ_SPLIT-PROGRAM [--runs N] [--table PROJECT.SCHEMA.TABLE]

Time is wall-clock from fork to exit, CPU is user + system time of the child alone (wait4), both for the whole process, its start
included. Both sides read sessions that were planned before: the library as a worker attaches by token, curl by session id.
"""
import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

GIB = 1 << 30
ACCEPT = {"none": None, "lz4": "LZ4_FRAME"}


def measure(command):
    """Runs a command: seconds, CPU seconds and what it printed."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed with {process.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, output.decode()


def library_plan(service, program, table, splits, directory):
    """The file with the token of a session for the library."""
    token = os.path.join(directory, f"token-{splits}")
    subprocess.run([program, "plan", f"{service}/api", table, str(splits), token], check=True)
    return token


def curl_plan(service, table, splits):
    """The URLs of the bodies of a session for curl, planned like the library's."""
    project, schema, name = table.split(".")
    base = f"{service}/api/storage/v1/projects/{project}/schemas/{schema}/tables/{name}"
    plan = {"SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": splits, "CrossPartition": True},
            "ArrowOptions": {"TimestampUnit": "nano", "DatetimeUnit": "milli"}}  # fmt: skip
    request = urllib.request.Request(f"{base}/sessions?session_type=batch_read", json.dumps(plan).encode(), {"Content-Type": "application/json"})
    session = json.load(urllib.request.urlopen(request))
    while session["SessionStatus"] == "INIT":
        time.sleep(0.05)
        session = json.load(urllib.request.urlopen(f"{base}/sessions/{session['SessionId']}?session_type=batch_read"))
    data = f"{base}/data?session_id={session['SessionId']}&max_batch_rows=4096&data_format_type=ARROW&data_format_version=V5"
    return [f"{data}&split_index={index}" for index in range(session["SplitsCount"])]


def curl_command(urls, compression, threads):
    command = ["curl", "--silent", "--show-error", "--no-progress-meter", "--fail", "--write-out", "%{size_download}\n"]
    if ACCEPT[compression]:
        command += ["--header", f"Accept-Encoding: {ACCEPT[compression]}"]
    if threads > 1:
        command += ["--parallel", "--parallel-max", str(threads)]
    for url in urls:
        command += ["--output", os.devnull, url]
    return command


def spread(values):
    return (max(values) - min(values)) / statistics.median(values) * 100


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--table", default="local.default.lineitem")
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    shapes = [(1, 1)] + [(4 * cores, cores)] * (cores > 1)  # splits, threads
    directory = os.path.dirname(arguments.program)
    tokens = {splits: library_plan(arguments.service, arguments.program, arguments.table, splits, directory) for splits, _ in shapes}
    urls = {splits: curl_plan(arguments.service, arguments.table, splits) for splits, _ in shapes}

    print(f"Reading {arguments.table}, all columns, batches of 4096 rows; {arguments.runs} interleaved runs of each, medians; {cores} cores")
    print("shared by client and service. The service keeps the encoded bodies in memory (--replay) and checks no signature (--no-auth);")
    print("every body was read once before. MB/s and GiB are of decoded data on both sides; curl decodes nothing: it is the cost of receiving.")
    print("+-: (max - min) / median of the runs. Read the ratios; on a machine that does other work they move as well.")
    print(f"\n{'':24}{'library':^34}{'curl -o /dev/null':^34}{'library / curl':^18}")
    print(f"{'':24}{'MB/s':>9}{'+-':>6}{'CPU s/GiB':>13}{'+-':>6}{'MB/s':>9}{'+-':>6}{'CPU s/GiB':>13}{'+-':>6}{'MB/s':>10}{'CPU':>8}")
    decoded = None  # bytes of the rows as Arrow buffers: of the first case, which is not compressed
    for (splits, threads), compression in itertools.product(shapes, ACCEPT):
        library = [arguments.program, "read", f"{arguments.service}/api", tokens[splits], compression, str(threads)]
        curl = curl_command(urls[splits], compression, threads)
        facts = json.loads(measure(library)[2])
        downloaded = sum(int(line) for line in measure(curl)[2].split())
        if downloaded != facts["received"]:
            sys.exit(f"curl received {downloaded} bytes and the library {facts['received']}: not the same bodies")
        decoded = decoded or facts["decoded"]
        runs = {"library": [], "curl": []}
        for _ in range(arguments.runs):
            runs["library"].append(measure(library)[:2])
            runs["curl"].append(measure(curl)[:2])
        speed, cpu, line = {}, {}, f"{compression}, {threads} stream{'s' if threads > 1 else ''}"
        line = f"{line:24}"
        for name, values in runs.items():
            rates = [decoded / 1e6 / seconds for seconds, _ in values]
            costs = [used / (decoded / GIB) for _, used in values]
            speed[name], cpu[name] = statistics.median(rates), statistics.median(costs)
            line += f"{speed[name]:9.0f}{spread(rates):5.0f}%{cpu[name]:13.3f}{spread(costs):5.0f}%"
        print(f"{line}{speed['library'] / speed['curl']:10.2f}{cpu['library'] / cpu['curl']:8.2f}", flush=True)
        print(f"{'':24}{facts['rows']} rows, {facts['splits']} splits, {facts['received']} bytes received, {decoded} decoded")


main()
