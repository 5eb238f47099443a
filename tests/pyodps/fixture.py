"""The tables of the conformance tests, put into a root: `fixture.py ROOT` for clients in other languages, `load_all` for pytest."""
import os
import pathlib
import subprocess
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet

import tables

SERVER = os.environ["MS_TEST_SERVER"]


def load(root, table, data, directory, *arguments):
    path = pathlib.Path(directory) / f"{table}.parquet"
    pa.parquet.write_table(data, path, row_group_size=5000)
    subprocess.run([SERVER, "load", "--root", root, "--table", table, *arguments, path], check=True)


def load_all(root, directory):
    load(root, "local.default.all_types", tables.all_types(), directory)
    load(root, "local.default.many_rows", tables.many_rows(), directory)
    load(root, "local.default.empty", tables.all_types().slice(0, 0), directory)
    load(root, "local.default.written_types", tables.all_types().slice(0, 0), directory)
    load(root, "local.default.written_times", pa.table({"t": pa.array([], pa.timestamp("us", "UTC"))}), directory)
    load(root, "local.default.ramp", tables.ramp(), directory, "--block-rows", "500")
    for ds, region in (("20260101", "eu"), ("20260101", "us"), ("20260102", "eu")):
        rows = pa.table({"id": pa.array(range(int(ds[-2:]) * 1000), pa.int64()), "note": pa.array([f"{ds}/{region}"] * (int(ds[-2:]) * 1000))})
        load(root, "local.default.parted", rows, directory, "--partition", f"ds={ds}/region={region}", "--if-exists", "append")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        load_all(sys.argv[1], scratch)
