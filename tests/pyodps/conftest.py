"""The service that both clients read from: TPC-H tables at scale 0.01, and tables loaded from Parquet files."""
import os
import pathlib
import shutil
import subprocess

import pytest

from fixture import SERVER, load_all


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The address of a running service."""
    directory = tmp_path_factory.mktemp("service")
    root = directory / "root"
    shutil.copytree(os.environ["MS_TEST_ROOT"], root)
    load_all(root, directory)
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
