"""The service that both clients read from: TPC-H tables at scale 0.01, and tables loaded from Parquet files."""
import os
import pathlib
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet
import pytest

import tables

SERVER = os.environ["MS_TEST_SERVER"]


def load(root, table, data, directory, *arguments):
    path = directory / f"{table}.parquet"
    pa.parquet.write_table(data, path, row_group_size=5000)
    subprocess.run([SERVER, "load", "--root", root, "--table", table, *arguments, path], check=True)


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The address of a running service."""
    directory = tmp_path_factory.mktemp("service")
    root = directory / "root"
    shutil.copytree(os.environ["MS_TEST_ROOT"], root)
    load(root, "local.default.all_types", tables.all_types(), directory)
    load(root, "local.default.many_rows", tables.many_rows(), directory)
    load(root, "local.default.empty", tables.all_types().slice(0, 0), directory)
    for ds, region in (("20260101", "eu"), ("20260101", "us"), ("20260102", "eu")):
        rows = pa.table({"id": pa.array(range(int(ds[-2:]) * 1000), pa.int64()), "note": pa.array([f"{ds}/{region}"] * (int(ds[-2:]) * 1000))})
        load(root, "local.default.parted", rows, directory, "--partition", f"ds={ds}/region={region}", "--if-exists", "append")
    with open(directory / "service.log", "wb") as log:
        process = subprocess.Popen([SERVER, "serve", "--root", root], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            ready = process.stdout.readline().split()
            assert ready[:1] == ["ready"], pathlib.Path(log.name).read_text()
            yield ready[1]
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
