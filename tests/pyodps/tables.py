"""A table with every type of the product page's mapping, as it is loaded and as it must arrive."""
import datetime
import decimal

import pyarrow as pa

UTC_EPOCH = datetime.datetime(1970, 1, 1)


def _as(text):
    """Declares the MaxCompute type where the Arrow type of the file alone would say another."""
    return {b"maxcompute.type": text.encode()}


def _ns(*values):
    return pa.array(values, pa.int64()).cast(pa.timestamp("ns"))


D = decimal.Decimal
STRUCT = pa.struct([pa.field("a", pa.int32()), pa.field("b", pa.string())])
DEEP = pa.list_(pa.struct([pa.field("k", pa.string()), pa.field("m", pa.map_(pa.string(), pa.list_(pa.int64())))]))

# name, metadata, array as loaded. Rows: ordinary, extreme, NULL, and edge values of the kind.
COLUMNS = [
    ("c_tinyint", None, pa.array([1, -128, None, 127], pa.int8())),
    ("c_smallint", None, pa.array([1, -32768, None, 32767], pa.int16())),
    ("c_int", None, pa.array([1, -(2**31), None, 2**31 - 1], pa.int32())),
    ("c_bigint", None, pa.array([1, -(2**63) + 1, None, 2**63 - 1], pa.int64())),
    ("c_float", None, pa.array([1.5, float("-inf"), None, float("nan")], pa.float32())),
    ("c_double", None, pa.array([0.1, -1.7976931348623157e308, None, float("nan")], pa.float64())),
    ("c_boolean", None, pa.array([True, False, None, True], pa.bool_())),
    ("c_string", None, pa.array(["plain", "", None, "Größe 数据 🦀"], pa.string())),
    ("c_varchar", _as("varchar(20)"), pa.array(["v", "", None, "exactly twenty chars"], pa.string())),
    ("c_char", _as("char(4)"), pa.array(["ab", "", None, "abcd"], pa.string())),
    ("c_binary", None, pa.array([b"\x00\xff", b"", None, bytes(range(256))], pa.binary())),
    ("c_decimal", None, pa.array([D("1.23"), D("-9999999999999.99"), None, D("0.00")], pa.decimal128(15, 2))),
    ("c_decimal38", None, pa.array([D(1), D(-(10**38) + 1), None, D(10**38 - 1)], pa.decimal128(38, 0))),
    ("c_plain_decimal", _as("decimal"), pa.array([D("1.5"), D("-99999999999999999999.999999999999999999"), None, D(0)], pa.decimal128(38, 18))),
    ("c_date", None, pa.array([0, -719162, None, 2932896], pa.int32()).cast(pa.date32())),
    ("c_datetime", None, pa.array([0, -62135596800000, None, 253402300799999], pa.int64()).cast(pa.timestamp("ms"))),
    ("c_timestamp", _as("timestamp"), _ns(0, -1, None, 2**62)),
    ("c_timestamp_ntz", _as("timestamp_ntz"), _ns(1, -(2**62), None, 999999999)),
    ("c_months", _as("interval_year_month"), pa.array([14, -1, None, 0], pa.int32())),
    ("c_day_time", _as("interval_day_time"), pa.array([90061007, -1, None, 0], pa.int64()).cast(pa.duration("ms"))),
    ("c_array", None, pa.array([[1, None, 3], [], None, [7]], pa.list_(pa.int32()))),
    ("c_map", None, pa.array([[("a", 1), ("b", None)], [], None, [("", 2)]], pa.map_(pa.string(), pa.int64()))),
    ("c_struct", None, pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None, {"a": 2, "b": ""}], STRUCT)),
    ("c_deep", None, pa.array([[{"k": "x", "m": [("p", [1, None]), ("q", [])]}, None], [], None, [{"k": None, "m": None}]], DEEP)),
]


def all_types():
    """The Parquet file's table."""
    fields = [pa.field(name, array.type, metadata=metadata) for name, metadata, array in COLUMNS]
    return pa.Table.from_arrays([array for _, _, array in COLUMNS], schema=pa.schema(fields))


def many_rows(rows=20000):
    """All types again, repeated, so that several batches and blocks come of it."""
    table = all_types()
    return pa.concat_tables([table] * (rows // table.num_rows))


def ramp(rows=4000):
    """Scalars that grow with the row number and are NULL in every seventh row: predicates have blocks to skip and rows to lose."""

    def column(kind, value):
        return pa.array([None if row % 7 == 3 else value(row) for row in range(rows)], kind)

    columns = [
        ("id", None, pa.array(range(rows), pa.int64())),
        ("c_tinyint", None, column(pa.int8(), lambda row: row // 16 - 125)),
        ("c_smallint", None, column(pa.int16(), lambda row: row * 16 - 32000)),
        ("c_int", None, column(pa.int32(), lambda row: row * 1000000 - 2000000000)),
        ("c_bigint", None, column(pa.int64(), lambda row: row * 10**15 - 2 * 10**18)),
        ("c_float", None, column(pa.float32(), lambda row: row / 8 - 250)),
        ("c_double", None, column(pa.float64(), lambda row: (row - 2000) * 2.0**1000)),
        ("c_boolean", None, column(pa.bool_(), lambda row: row >= 2000)),
        ("c_string", None, column(pa.string(), lambda row: f"it's {row:04}")),
        ("c_varchar", _as("varchar(20)"), column(pa.string(), lambda row: f"v{row:04}")),
        ("c_char", _as("char(8)"), column(pa.string(), lambda row: f"c{row:04}")),
        ("c_binary", None, column(pa.binary(), lambda row: row.to_bytes(4, "big"))),
        ("c_decimal", None, column(pa.decimal128(15, 2), lambda row: D(row * 25 - 50000) / 100)),
        ("c_date", None, column(pa.date32(), lambda row: row * 100 - 200000)),
        ("c_datetime", None, column(pa.timestamp("ms"), lambda row: (row - 2000) * 86400000 * 30)),
        ("c_timestamp", _as("timestamp"), column(pa.timestamp("ns"), lambda row: (row - 2000) * 10**15 + row * 1000)),
        ("c_timestamp_ntz", _as("timestamp_ntz"), column(pa.timestamp("ns"), lambda row: (row - 2000) * 10**15 + row * 1000)),
    ]
    fields = [pa.field(name, array.type, metadata=metadata) for name, metadata, array in columns]
    return pa.Table.from_arrays([array for _, _, array in columns], schema=pa.schema(fields))
