"""examples/c/read_table prints every type of the mapping table the way a person reads it."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

EXPECTED = {
    "c_tinyint": ["1", "-128", "NULL", "127"],
    "c_bigint": ["1", "-9223372036854775807", "NULL", "9223372036854775807"],
    "c_float": ["1.5", "-inf", "NULL", "nan"],
    "c_double": ["0.1", "-1.7976931348623157e+308", "NULL", "nan"],
    "c_boolean": ["true", "false", "NULL", "true"],
    "c_string": ["plain", "", "NULL", "Größe 数据 🦀"],
    "c_binary": ["X'00ff'", "X''", "NULL", f"X'{bytes(range(256)).hex()}'"],
    "c_decimal": ["1.23", "-9999999999999.99", "NULL", "0.00"],
    "c_decimal38": ["1", "-" + "9" * 38, "NULL", "9" * 38],
    "c_plain_decimal": ["1.500000000000000000", "-99999999999999999999.999999999999999999", "NULL", "0.000000000000000000"],
    "c_date": ["1970-01-01", "0001-01-01", "NULL", "9999-12-31"],
    "c_datetime": ["1970-01-01 00:00:00.000", "0001-01-01 00:00:00.000", "NULL", "9999-12-31 23:59:59.999"],
    "c_timestamp": ["1970-01-01 00:00:00.000000000", "1969-12-31 23:59:59.999999999", "NULL", "2116-02-20 23:53:38.427387904"],
    "c_months": ["1-02", "-0-01", "NULL", "0-00"],
    "c_day_time": ["1 01:01:01.007", "-0 00:00:00.001", "NULL", "0 00:00:00.000"],
    "c_array": ["[1, NULL, 3]", "[]", "NULL", "[7]"],
    "c_map": ["{'a': 1, 'b': NULL}", "{}", "NULL", "{'': 2}"],
    "c_struct": ["{a: 1, b: 'x'}", "{a: NULL, b: NULL}", "NULL", "{a: 2, b: ''}"],
    "c_deep": ["[{k: 'x', m: {'p': [1, NULL], 'q': []}}, NULL]", "[]", "NULL", "[{k: NULL, m: NULL}]"],
}


@pytest.fixture(scope="session")
def read_table(tmp_path_factory):
    program = tmp_path_factory.mktemp("examples") / "read_table"
    library = pathlib.Path(os.environ["MS_TEST_LIBRARY"])
    compile_it = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include", "-o", program,
                  ROOT / "examples/c/read_table.c", library, f"-Wl,-rpath,{library.parent}"]  # fmt: skip
    subprocess.run(compile_it, check=True)
    return program


@pytest.mark.parametrize("column", EXPECTED)
def test_values(service, read_table, column):
    environment = {**os.environ, "ALIBABA_CLOUD_ACCESS_KEY_ID": "local", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "local"}
    command = [read_table, "--width", "0", f"{service}/api", "local.default.all_types", column]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    assert printed[0].startswith(f"{column}  ")
    assert [line.strip() for line in printed[4:-1]] == EXPECTED[column]
    assert printed[-1] == "(4 rows)"
