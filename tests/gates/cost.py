"""What reading a fixed stream costs: instructions, allocations, system calls, copies, requests, threads.

    cost.py SERVICE-URL BUILD-DIRECTORY

Everything is counted as the difference of a long and a short run of the same program, so that its start does not count. A bound is
what was counted when it was set and some head room, for other compilers and C libraries; whoever makes reading dearer than that finds
it here. Whoever makes it cheaper lowers the bound.
"""
import json
import re
import subprocess
import sys

SERVICE, BUILD = sys.argv[1:]
SHORT, LONG = 1, 4
# Instructions for each byte of decoded data, under callgrind, which knows no AVX-512: 0.23, 3.05 and 11.5 were counted.
INSTRUCTIONS = {"none": 0.40, "lz4": 4.1, "zstd": 14.5}
ALLOCATIONS = 105  # 50 to 79 were counted; for each batch of 16 columns: calls of malloc, calloc, realloc and their kin
SYSTEM_CALLS = 12  # for each batch
THREADS = 3  # the main thread and two workers, whatever is read
ALLOCATE = re.compile(r"^(malloc|calloc|realloc|posix_memalign|aligned_alloc|memalign)\b")

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok    ' if ok else 'FAILED'} {what}")


def plan(table, splits):
    token = f"{BUILD}/token-{table}"
    subprocess.run([f"{BUILD}/read_split", "plan", f"{SERVICE}/api", f"local.default.{table}", str(splits), token], check=True)
    return token


def read(tool, token, compression, way, threads, times):
    """What the program says about itself when it reads under a tool."""
    command = [*tool, f"{BUILD}/read_split", "read", f"{SERVICE}/api", token, compression, "4096", way, str(threads), str(times)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {run.stderr[-2000:]}")
    return json.loads(run.stdout)


def callgrind(token, compression, times):
    """What the program says, its instructions and its allocations."""
    out = f"{BUILD}/callgrind.out"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--combine-dumps=yes"]
    facts = read(tool, token, compression, "split", 1, times)
    instructions, allocations, names, allocates = 0, 0, {}, False
    with open(out, encoding="utf-8") as file:
        for line in file:
            if line.startswith(("totals: ", "summary: ")):
                instructions = max(instructions, int(line.split()[1]))
            elif found := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
                number, name = found.groups()
                names[number] = name or names[number]
                if line.startswith("c"):
                    allocates = bool(ALLOCATE.match(names[number]))
            elif allocates and line.startswith("calls="):
                allocations += int(line.removeprefix("calls=").split()[0])
    return facts, instructions, allocations


def system_calls(token, times):
    out = f"{BUILD}/strace.out"
    facts = read(["strace", "-f", "-c", "-o", out], token, "none", "split", 1, times)
    with open(out, encoding="utf-8") as file:
        total = next(line for line in file if line.rstrip().endswith(" total"))
    return facts, int(total.split()[3])  # after share, seconds, and microseconds for each call


one, many = plan("lineitem", 1), plan("orders_by_year", 16)
for compression, bound in INSTRUCTIONS.items():
    short, instructions, allocations = callgrind(one, compression, SHORT)
    long, more_instructions, more_allocations = callgrind(one, compression, LONG)
    decoded, batches = long["bytes_decoded"] - short["bytes_decoded"], long["batches"] - short["batches"]
    figure = (more_instructions - instructions) / decoded
    check(0 < figure <= bound, f"{compression}: {figure:.3f} instructions for each byte, at most {bound}")
    figure = (more_allocations - allocations) / batches
    check(0 < figure <= ALLOCATIONS, f"{compression}: {figure:.0f} allocations for each batch, at most {ALLOCATIONS}")
    check(long["bytes_copied"] == 0, f"{compression}: {long['bytes_copied']} bytes copied of {long['bytes_decoded']} delivered")

short, calls = system_calls(one, SHORT)
long, more_calls = system_calls(one, LONG)
figure = (more_calls - calls) / (long["batches"] - short["batches"])
check(0 < figure <= SYSTEM_CALLS, f"{figure:.1f} system calls for each batch, at most {SYSTEM_CALLS}")

for token, way, threads in ((one, "split", 1), (many, "split", 4), (many, "scan", 4)):
    facts = read([], token, "none", way, threads, 2)
    enough = facts["splits"] > 1 or token == one
    check(enough and facts["requests"] == 2 * facts["splits"], f"{way}: {facts['requests']} requests for {facts['splits']} splits, twice")
    check(facts["threads"] == THREADS, f"{way}: {facts['threads']} threads after {facts['splits']} splits")

print(f"{passed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
