"""Many slow readers and writers at once, over plain sockets: what each gets and leaves is checked row by row."""
import argparse
import asyncio
import hashlib
import io
import json
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq

RANGES = 10          # different row ranges, each read by many
RANGE_ROWS = 40_000   # more bytes than the buffers of a connection hold, so that a slow reader keeps its request running
WRITE_ROWS = 2000    # of one writer
READ_PIECE = 64 << 10
WRITE_PIECE = 4 << 10
SLOW_S = 8           # how long a slow client takes at least
BASE = "/api/storage/v1/projects/local/schemas/default/tables"

# What one client may cost the service: two encoded pieces, a decoded batch and its pages, or the rows of a block that is written.
BYTES_PER_CLIENT = 8 << 20
BYTES_AT_REST = 256 << 20

checks = {True: 0, False: 0}


def check(ok, what):
    checks[bool(ok)] += 1
    if not ok:
        print(f"FAILED {what}")


class Client:
    """One connection, one request."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.host, self.port = host, int(port)

    async def open(self, method, target, length=None, buffer=None):
        # A small buffer in the kernel makes a slow reader slow for the service as well.
        sock = socket.socket()
        sock.setblocking(False)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await asyncio.get_running_loop().sock_connect(sock, (self.host, self.port))
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=READ_PIECE)
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        self.writer.write(f"{method} {target} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n{framing}\r\n\r\n".encode())

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return self.status

    async def body(self, pause=0.0):
        """The pieces of the answer; an answer that is cut raises."""
        if "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
            return
        while size := int((await self.reader.readuntil(b"\r\n")), 16):
            while size:
                piece = await self.reader.read(min(size, READ_PIECE))
                if not piece:
                    raise EOFError("the answer was cut")
                size -= len(piece)
                if pause:
                    await asyncio.sleep(pause)
                yield piece
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)

    def close(self):
        self.writer.close()


async def call(url, method, target, body=b""):
    client = Client(url)
    await client.open(method, target, len(body))
    client.writer.write(body)
    status = await client.head()
    answer = b"".join([piece async for piece in client.body()])
    client.close()
    assert status < 300, (status, answer)
    return answer


async def session(url, table, kind, request):
    return json.loads(await call(url, "POST", f"{BASE}/{table}/sessions?session_type={kind}", json.dumps(request).encode()))


def rows_target(table, session_id, start, count):
    return f"{BASE}/{table}/data?session_id={session_id}&row_index={start}&row_count={count}"


async def read_all(url, table):
    made = await session(url, table, "batch_read", {"SplitOptions": {"SplitMode": "RowOffset"}})
    if not made["RecordCount"]:
        return made, None
    answer = await call(url, "GET", rows_target(table, made["SessionId"], 0, made["RecordCount"]))
    return made, pa.ipc.open_stream(answer).read_all()


class Gate:
    """Lets nobody through before all are there: this makes clients concurrent."""

    def __init__(self, count):
        self.missing, self.open = count, asyncio.Event()

    async def arrive(self):
        self.missing -= 1
        if self.missing == 0:
            self.open.set()
        await self.open.wait()


async def slow_reader(url, target, size, gate):
    client = Client(url)
    await client.open("GET", target, 0, buffer=32 << 10)
    status = await client.head()
    await gate.arrive()
    digest, length = hashlib.sha256(), 0
    pause = SLOW_S / max(1, size // READ_PIECE)
    async for piece in client.body(pause):
        digest.update(piece)
        length += len(piece)
    client.close()
    return status, digest.hexdigest(), length


def block_of(writer, schema):
    ids = pa.array(range(writer * WRITE_ROWS, (writer + 1) * WRITE_ROWS), pa.int64())
    texts = pa.array([f"writer {writer} row {i}" for i in range(WRITE_ROWS)], pa.string())
    out = io.BytesIO()
    with pa.ipc.new_stream(out, schema) as stream:
        stream.write_batch(pa.record_batch([ids, texts], schema=schema))
    return out.getvalue()


async def slow_writer(url, number, schema, gate):
    made = await session(url, "written", "batch_write", {"EnhanceWriteCheck": True})
    body = block_of(number, schema)
    client = Client(url)
    await client.open("POST", f"{BASE}/written/sessions/{made['SessionId']}/data?block_number=0&attempt_number=0")
    await gate.arrive()
    pieces = range(0, len(body), WRITE_PIECE)
    for at in pieces:
        piece = body[at:at + WRITE_PIECE]
        client.writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await client.writer.drain()
        await asyncio.sleep(SLOW_S / len(pieces))
    client.writer.write(b"0\r\n\r\n")
    status = await client.head()
    answer = b"".join([piece async for piece in client.body()])
    client.close()
    assert status == 200, (status, answer)
    commit = {"CommitMessages": [json.loads(answer)["CommitMessage"]], "WaitFlyingWritersTimeoutSeconds": 60}
    answer = json.loads(await call(url, "POST", f"{BASE}/written/commit?session_id={made['SessionId']}", json.dumps(commit).encode()))
    return answer["SessionStatus"]


def memory(pid, what):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    return 0


def show(number):
    return f"{number / (1 << 20):,.0f} MiB"


async def run(args):
    url = args.url
    made, table = await read_all(url, "lineitem")
    # The reference: each range once, fast, compared with the rows that were read whole.
    ranges = []
    for i in range(RANGES):
        start = i * ((table.num_rows - RANGE_ROWS) // (RANGES - 1))
        target = rows_target("lineitem", made["SessionId"], start, RANGE_ROWS)
        body = await call(url, "GET", target)
        check(pa.ipc.open_stream(body).read_all().equals(table.slice(start, RANGE_ROWS)), f"range {i} has the rows of the table")
        ranges.append((target, hashlib.sha256(body).hexdigest(), len(body)))
    schema = pa.schema([pa.field("id", pa.int64()), pa.field("text", pa.string())])
    if args.writers:
        with tempfile.TemporaryDirectory() as directory:
            file = f"{directory}/written.parquet"
            pq.write_table(pa.table({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())}, schema=schema), file)
            subprocess.run([args.server, "load", "--root", args.root, "--table", "local.default.written", "--if-exists", "overwrite", file],
                           check=True, capture_output=True)
    before = memory(args.pid, "VmRSS")
    begin = time.monotonic()
    gate = Gate(args.readers + args.writers)
    readers = [slow_reader(url, target, size, gate) for target, _, size in (ranges[i % RANGES] for i in range(args.readers))]
    writers = [slow_writer(url, i, schema, gate) for i in range(args.writers)]
    running = asyncio.gather(*readers, *writers)
    await gate.open.wait()
    busy = json.loads(await call(url, "GET", "/_maxstorage/status"))["running_requests"]
    results = await running
    took = time.monotonic() - begin
    read, written = results[:args.readers], results[args.readers:]
    for i, (status, digest, length) in enumerate(read):
        check((status, digest, length) == (200, *ranges[i % RANGES][1:]), f"reader {i}: {status}, {length} bytes")
    check(all(status == "COMMITTED" for status in written), f"commits: {set(written)}")
    rows = args.readers * RANGE_ROWS
    if args.writers:
        _, found = await read_all(url, "written")
        ids = sorted(found.column("id").to_pylist())
        check(ids == list(range(args.writers * WRITE_ROWS)), f"{len(ids)} rows were written, {args.writers * WRITE_ROWS} should be there")
        texts = {row: text for row, text in zip(found.column("id").to_pylist(), found.column("text").to_pylist())}
        check(all(texts[i] == f"writer {i // WRITE_ROWS} row {i % WRITE_ROWS}" for i in ids), "the rows of writers are mixed up")
        rows += len(ids)
    peak = memory(args.pid, "VmHWM")
    clients = args.readers + args.writers
    check(busy > clients, f"{busy} requests ran at once, {clients} clients and this question should")
    bound = BYTES_AT_REST + clients * BYTES_PER_CLIENT
    check(peak <= bound, f"the peak is {show(peak)}, the bound {show(bound)}")
    total = sum(length for _, _, length in read)
    print(f"{args.readers} readers and {args.writers} writers at once ({busy - 1} requests running), each {SLOW_S} s or slower: {took:.1f} s")
    print(f"{rows:,} rows checked, {show(total)} read")
    print(f"memory of the service: {show(before)} before, {show(peak)} at its peak, {(peak - before) / clients / 1024:,.0f} KiB a client")


parser = argparse.ArgumentParser()
for name in ("url", "pid", "server", "root"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--readers", type=int, required=True)
parser.add_argument("--writers", type=int, required=True)
arguments = parser.parse_args()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
asyncio.run(run(arguments))
print(f"{checks[True]} checks held, {checks[False]} did not")
sys.exit(checks[False] != 0)
