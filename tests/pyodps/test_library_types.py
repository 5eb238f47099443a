"""Policies of types and reads without columns against the running service, at the limits of the types, over every version."""
import decimal

import pyarrow as pa
import pytest

import maxstorage
from fixture import load
from test_conformance import read_with_maxstorage
from test_governance import Service

VERSIONS = ["1", "2", "3"]
D = decimal.Decimal
FAR = 253_402_300_799_999_999  # the last microsecond of the year 9999
EARLY = -62_135_596_800_000_000  # the first of the year 1
LAST, FIRST = 2**63 - 1, -(2**63)  # the last and the first nanosecond there is
MOST = 10**38 - 1


def _field(name, array, text=None):
    return pa.field(name, array.type, metadata={b"maxcompute.type": text.encode()} if text else None)


def _table():
    """Ordinary, extreme, NULL, empty: four rows."""
    time = pa.timestamp("us")
    pair = pa.struct([pa.field("x", time), pa.field("d", pa.decimal128(38, 0))])
    columns = [
        ("c", "char(4)", pa.array(["ab", "abcd", None, ""], pa.string())),
        ("d", None, pa.array([D("1.50"), D("-99999999.99"), None, D(0)], pa.decimal128(10, 2))),
        ("huge", None, pa.array([D(1), D(MOST), None, D(-MOST)], pa.decimal128(38, 0))),
        ("m", None, pa.array([[("a", 1), ("b", 2), ("a", 3)], [("", None), ("", 4)], None, []], pa.map_(pa.string(), pa.int64()))),
        ("t", "timestamp", pa.array([0, FAR, None, EARLY], pa.int64()).cast(time)),
        ("deep", None, pa.array([[{"x": 1, "d": D(1)}, None], [{"x": FAR, "d": D(MOST)}, {"x": None, "d": None}], None, []], pa.list_(pair))),
        ("s", None, pa.array([["", None, "longer than twelve bytes"], [], None, ["Größe 数据 🦀"]], pa.list_(pa.string()))),
    ]  # fmt: skip
    fields = [_field(name, array, text) for name, text, array in columns]
    return pa.Table.from_arrays([array for _, _, array in columns], schema=pa.schema(fields))


@pytest.fixture(scope="module", params=["nearest", "struct"])
def limits(request, tmp_path_factory):
    """Address and the way of a service with the table, in both of its layouts of times."""
    directory = tmp_path_factory.mktemp(request.param)
    load(directory / "root", "local.default.limits", _table(), directory)
    rows = pa.table({"id": pa.array(range(10_000), pa.int64()), "note": pa.array(["x" * 50] * 10_000)})
    load(directory / "root", "local.default.plain", rows, directory, "--block-rows", "1000")
    load(directory / "root", "local.default.parted", rows.slice(0, 7), directory, "--partition", "ds=1")
    service = Service(directory, *(("--timestamps", "struct") if request.param == "struct" else ()))
    yield service.address, request.param
    service.close()


def _read(limits, columns, protocol, **settings):
    return read_with_maxstorage(limits[0], "limits", columns=columns, protocol=protocol, types_timestamp_unit="micro", **settings)


@pytest.mark.parametrize("protocol", VERSIONS)
def test_char(limits, protocol):
    read = lambda padding: _read(limits, ["c"], protocol, types_char_padding=padding)["c"].to_pylist()  # noqa: E731
    assert read("strip") == ["ab", "abcd", None, ""]
    assert read("pad") == read("keep") == ["ab  ", "abcd", None, "    "]


@pytest.mark.parametrize("protocol", VERSIONS)
def test_decimals(limits, protocol):
    for form, delivered, values in [
        ("declared", pa.decimal128(10, 2), [D("1.50"), D("-99999999.99"), None, D("0.00")]),
        ("wide", pa.decimal128(38, 18), [D("1.5"), D("-99999999.99"), None, D(0)]),
        ("text", pa.string(), ["1.50", "-99999999.99", None, "0.00"]),
    ]:
        read = _read(limits, ["d"], protocol, types_decimal=form)
        assert (read.schema.field("d").type, read["d"].to_pylist()) == (delivered, values)
        assert read.schema.field("d").metadata[b"maxcompute.type"] == b"decimal(10,2)"
    huge = _read(limits, ["huge", "deep"], protocol, types_decimal="text")
    assert huge["huge"].to_pylist() == ["1", str(MOST), None, str(-MOST)]
    rows = huge["deep"].to_pylist()
    assert [part and part["d"] for part in rows[0] + rows[1]] == ["1", None, str(MOST), None] and rows[2:] == [None, []]
    for column in ("huge", "deep"):
        with pytest.raises(OSError, match=f"column {column}.*types.decimal"):
            _read(limits, [column], protocol, types_decimal="wide")


@pytest.mark.parametrize("protocol", VERSIONS)
def test_keys_that_a_map_has_twice(limits, protocol):
    read = lambda what: _read(limits, ["m"], protocol, types_map_duplicate_keys=what)["m"].to_pylist()  # noqa: E731
    assert read("keep") == [[("a", 1), ("b", 2), ("a", 3)], [("", None), ("", 4)], None, []]
    assert read("last") == [[("a", 3), ("b", 2)], [("", 4)], None, []]
    with pytest.raises(OSError, match="column m.*twice"):
        read("error")


@pytest.mark.parametrize("protocol", VERSIONS)
def test_times_that_do_not_fit(limits, protocol):
    def read(overflow):
        table = read_with_maxstorage(limits[0], "limits", columns=["t", "deep"], protocol=protocol, types_timestamp_overflow=overflow)
        deep = table["deep"].combine_chunks().flatten().field("x").cast(pa.int64())
        return table["t"].cast(pa.int64()).to_pylist(), deep.to_pylist()

    assert read("clamp") == ([0, LAST, None, FIRST], [1000, None, LAST, None])
    if protocol == "1" and limits[1] == "nearest":
        # What arrives as a count of nanoseconds was brought into their range by the service.
        assert read("error") == read("null") == read("clamp")
        return
    assert read("null") == ([0, None, None, None], [1000, None, None, None])
    with pytest.raises(OSError, match="column t.*types.timestamp_overflow"):
        read("error")
    for unit, step in (("micro", 1), ("milli", 1000), ("second", 1_000_000)):
        table = read_with_maxstorage(limits[0], "limits", columns=["t"], protocol=protocol, types_timestamp_unit=unit)
        assert table["t"].cast(pa.int64()).to_pylist() == [0, FAR // step, None, EARLY // step]


@pytest.mark.parametrize("protocol", VERSIONS)
def test_views(limits, protocol):
    read = _read(limits, ["c", "m", "s"], protocol, types_string_view="true")
    assert read.schema.field("c").type == pa.string_view() and read.schema.field("s").type.value_type == pa.string_view()
    read.validate(full=True)
    assert read["s"].to_pylist() == [["", None, "longer than twelve bytes"], [], None, ["Größe 数据 🦀"]]
    assert read["c"].to_pylist() == ["ab  ", "abcd", None, "    "]
    assert read["m"].to_pylist()[1:] == [[("", None), ("", 4)], None, []]


@pytest.mark.parametrize("protocol", VERSIONS)
def test_all_policies_with_an_exact_filter(limits, protocol):
    settings = {"types_string_view": "true", "types_decimal": "text", "types_char_padding": "strip", "types_map_duplicate_keys": "last"}
    for text, rows in [("d > 1 and c = 'ab'", ["1.50"]), ("d < -99999999 or c = ''", ["-99999999.99", "0.00"])]:
        read = _read(limits, ["d"], protocol, filter_exact="true", filter_text=text, **settings)
        assert read["d"].to_pylist() == rows
    token, splits = maxstorage.plan(
        f"{limits[0]}/api", "local.default.limits", columns=["c"], protocol=protocol, **settings
    )  # fmt: skip
    batches = [batch for split in range(splits) for batch in maxstorage.read_split(f"{limits[0]}/api", token, split)]
    assert pa.Table.from_batches(batches)["c"].to_pylist() == ["ab", "abcd", None, ""]


@pytest.mark.parametrize("protocol", VERSIONS)
@pytest.mark.parametrize("more, rows", [({}, 10_000), ({"split_mode": "row_offset", "split_rows": 3001}, 10_000),
                                        ({"filter_exact": "true", "filter_text": "id < 1234"}, 1234)])  # fmt: skip
def test_rows_without_columns(limits, protocol, more, rows):
    endpoint = f"{limits[0]}/api"
    token, splits = maxstorage.plan(endpoint, "local.default.plain", protocol=protocol, **more)
    batches = [batch for split in range(splits) for batch in maxstorage.read_split(endpoint, token, split, read_row_count_only="true")]
    assert {batch.num_columns for batch in batches} == {0}
    assert sum(batch.num_rows for batch in batches) == rows


@pytest.mark.parametrize("protocol", VERSIONS)
def test_partition_columns_alone(limits, protocol):
    read = read_with_maxstorage(limits[0], "parted", partition_columns=["ds"], protocol=protocol)
    assert (read.column_names, read["ds"].to_pylist()) == (["ds"], ["1"] * 7)
    token, splits = maxstorage.plan(f"{limits[0]}/api", "local.default.parted", partition_columns=["ds"], protocol=protocol)
    batches = [batch for split in range(splits) for batch in maxstorage.read_split(f"{limits[0]}/api", token, split, read_row_count_only="true")]
    assert [(batch.num_rows, batch.num_columns) for batch in batches] == [(7, 0)]


@pytest.mark.parametrize("protocol", VERSIONS)
def test_partition_columns_of_a_named_partition(limits, protocol):
    """What the library knows by the name of the partition is what the service sends where it has no name."""
    scan = {"partition_columns": ["ds"], "protocol": protocol, "split_mode": "row_offset", "split_rows": 4}
    told = read_with_maxstorage(limits[0], "parted", partitions=["ds=1"], **scan)
    assert told.equals(read_with_maxstorage(limits[0], "parted", **scan)) and told.num_rows == 7


def test_options_are_refused_by_name():
    for key in ("types_decimal", "types_char_padding", "types_map_duplicate_keys", "types_timestamp_overflow"):
        with pytest.raises(maxstorage.Failure, match=f"MS_INVALID_OPTION.*{key.replace('_', '.', 1)} takes"):
            maxstorage.read("http://127.0.0.1:1/api", "local.default.t", **{key: "other"})
