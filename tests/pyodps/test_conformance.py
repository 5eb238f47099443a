"""The official PyODPS client (v1 Storage API) and libmaxstorage read the same tables in the same ways and deliver the same cells."""
import ctypes
import struct
import time

import odps
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from odps.apis.storage_api import (
    ArrowOptions,
    Compression,
    ReadRowsRequest,
    SessionRequest,
    SessionStatus,
    SplitOptions,
    StorageApiArrowClient,
    TableBatchScanRequest,
)

import maxstorage
import tables

COMPRESSIONS = {"none": Compression.UNCOMPRESSED, "lz4": Compression.LZ4_FRAME, "zstd": Compression.ZSTD}
TPCH = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


def read_with_pyodps(service, table, mode="Size", number=256 << 20, compression="lz4", rows_per_read=None, **request):
    """A table through PyODPS alone, from endpoint discovery to batches."""
    entry = odps.ODPS("local", "local", project="local", endpoint=f"{service}/api")
    client = StorageApiArrowClient(entry, entry.get_table(table))
    split_options = SplitOptions()
    split_options.split_mode, split_options.split_number = SplitOptions.SplitMode(mode), number
    session = client.create_read_session(TableBatchScanRequest(split_options=split_options, **request))
    deadline = time.monotonic() + 30
    while session.session_status == SessionStatus.INIT and time.monotonic() < deadline:
        time.sleep(0.05)
        session = client.get_read_session(SessionRequest(session.session_id))
    assert session.session_status == SessionStatus.NORMAL
    if mode == "RowOffset":
        total = session.record_count
        selectors = [{"row_index": at, "row_count": min(rows_per_read, total - at)} for at in range(0, total, rows_per_read)]
    else:
        selectors = [{"split_index": index} for index in range(session.split_count)]
    batches, schema = [], None
    for selector in selectors:
        reader = client.read_rows_arrow(ReadRowsRequest(session.session_id, compression=COMPRESSIONS[compression], **selector))
        while (batch := reader.read()) is not None:
            batches.append(batch)
    if not batches:
        return None
    return pa.Table.from_batches(batches, schema or batches[0].schema)


def read_with_maxstorage(service, table, **settings):
    before = maxstorage.live_handles()
    result = maxstorage.read(f"{service}/api", f"local.default.{table}", **settings)
    assert maxstorage.live_handles() == before
    return result


# Arrow formats of intervals and of the integers with the same bytes; a day-time interval is days, then milliseconds.
AS_INTEGERS = {b"tiM": ctypes.c_char_p(b"i"), b"tiD": ctypes.c_char_p(b"l")}


def with_integers_for_intervals(table):
    """The same buffers with integer types in place of intervals, for which pyarrow has no array class: through the C interface."""
    batches = []
    for batch in table.to_batches():
        array, schema = (ctypes.c_int64 * 10)(), (ctypes.c_int64 * 9)()
        batch._export_to_c(ctypes.addressof(array), ctypes.addressof(schema))
        n_children, children = schema[4], schema[5]
        for child in (ctypes.c_int64 * n_children).from_address(children):
            word = ctypes.c_char_p.from_address(child)  # the format is the first member
            if word.value in AS_INTEGERS:
                ctypes.c_int64.from_address(child).value = ctypes.cast(AS_INTEGERS[word.value], ctypes.c_void_p).value
        batches.append(pa.RecordBatch._import_from_c(ctypes.addressof(array), ctypes.addressof(schema)))
    return pa.Table.from_batches(batches)


def comparable(array):
    """Floats as integers of the same bits, so that NaN equals NaN."""
    kinds = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}
    return array.view(kinds[array.type]) if array.type in kinds else array


def assert_same_cells(ours, theirs):
    """Names, types, nullability, row count and every cell; a difference is reported by column and row."""
    assert ours.column_names == theirs.column_names
    for name in ours.column_names:
        assert ours.schema.field(name).type.equals(theirs.schema.field(name).type), name
        assert ours.schema.field(name).nullable == theirs.schema.field(name).nullable, name
    assert ours.num_rows == theirs.num_rows > 0
    ours, theirs = with_integers_for_intervals(ours), with_integers_for_intervals(theirs)
    for name in ours.column_names:
        mine = ours.column(name).combine_chunks()
        other = theirs.column(name).combine_chunks()
        mine.validate(full=True)
        mine, other = comparable(mine), comparable(other)
        if mine.equals(other):
            continue
        for row in range(len(mine)):
            assert mine.slice(row, 1).equals(other.slice(row, 1)), f"{name}, row {row}: {mine.slice(row, 1)} and {other.slice(row, 1)}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("table", ["all_types", "many_rows"])
def test_all_types(service, table, compression):
    theirs = read_with_pyodps(service, table, compression=compression)
    ours = read_with_maxstorage(service, table, read_compression=compression)
    assert_same_cells(ours, theirs)


@pytest.mark.parametrize("table", TPCH)
def test_tpch(service, table):
    theirs = read_with_pyodps(service, table)
    ours = read_with_maxstorage(service, table, read_compression="lz4")
    assert_same_cells(ours, theirs)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_size_mode(service, compression):
    theirs = read_with_pyodps(service, "lineitem", "Size", 10 << 20, compression)
    ours = read_with_maxstorage(service, "lineitem", split_mode="size", split_size_bytes=10 << 20, read_compression=compression)
    assert_same_cells(ours, theirs)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_parallelism_mode(service, compression):
    theirs = read_with_pyodps(service, "many_rows", "Parallelism", 4, compression)
    ours = read_with_maxstorage(service, "many_rows", split_mode="parallelism", split_parallelism=4, read_compression=compression)
    assert_same_cells(ours, theirs)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_row_offset_mode(service, compression):
    theirs = read_with_pyodps(service, "lineitem", "RowOffset", 0, compression, rows_per_read=7001)
    ours = read_with_maxstorage(service, "lineitem", split_mode="row_offset", split_rows=13007, read_compression=compression)
    assert_same_cells(ours, theirs)


def test_projection(service):
    columns = ["l_comment", "l_orderkey", "l_shipdate", "l_discount"]
    theirs = read_with_pyodps(service, "lineitem", required_data_columns=columns)
    ours = read_with_maxstorage(service, "lineitem", columns=columns)
    assert ours.column_names == columns
    assert_same_cells(ours, theirs)


def test_filter(service):
    predicate = "`l_orderkey` > 59000 and `l_shipdate` < DATE'1995-01-01'"
    theirs = read_with_pyodps(service, "lineitem", filter_predicate=predicate)
    ours = read_with_maxstorage(service, "lineitem", filter_text=predicate)
    assert_same_cells(ours, theirs)
    whole = read_with_maxstorage(service, "lineitem")
    matching = (pc.field("l_orderkey") > 59000) & (pc.field("l_shipdate") < pa.scalar(9131, pa.int32()).cast(pa.date32()))
    assert ours.filter(matching).num_rows == whole.filter(matching).num_rows > 0


@pytest.mark.parametrize("partitions", [[], ["ds=20260101/region=eu"], ["ds=20260101/region=us", "ds=20260102/region=eu"]])
def test_partitions(service, partitions):
    theirs = read_with_pyodps(service, "parted", required_partitions=partitions)
    ours = read_with_maxstorage(service, "parted", partitions=partitions)
    assert_same_cells(ours, theirs)
    assert ours.num_rows == {0: 4000, 1: 1000, 2: 3000}[len(partitions)]
    pairs = set(zip(ours["ds"].to_pylist(), ours["region"].to_pylist()))
    assert {f"ds={ds}/region={region}" for ds, region in pairs} == set(partitions or ["ds=20260101/region=eu", "ds=20260101/region=us", "ds=20260102/region=eu"])


def test_partition_columns_alone_and_first(service):
    columns, keys = ["note"], ["region"]
    theirs = read_with_pyodps(service, "parted", required_data_columns=columns, required_partition_columns=keys)
    ours = read_with_maxstorage(service, "parted", columns=columns, partition_columns=keys)
    assert_same_cells(ours, theirs)


@pytest.mark.parametrize("year", range(1992, 1999))
def test_orders_by_year(service, year):
    theirs = read_with_pyodps(service, "orders_by_year", required_partitions=[f"o_orderyear={year}"])
    ours = read_with_maxstorage(service, "orders_by_year", partitions=[f"o_orderyear={year}"])
    assert_same_cells(ours, theirs)
    assert set(pc.year(ours["o_orderdate"]).to_pylist()) == {year}


def test_an_empty_table(service):
    assert read_with_pyodps(service, "empty") is None
    ours = read_with_maxstorage(service, "empty")
    assert ours.num_rows == 0 and ours.column_names == [name for name, _, _ in tables.COLUMNS]


@pytest.mark.parametrize("timestamps", ["second", "milli", "micro", "nano"])
def test_timestamp_units(service, timestamps):
    columns = ["c_timestamp", "c_timestamp_ntz", "c_datetime"]
    units = ArrowOptions(timestamp_unit=ArrowOptions.TimestampUnit(timestamps), date_time_unit=ArrowOptions.TimestampUnit("micro"))
    theirs = read_with_pyodps(service, "all_types", required_data_columns=columns, arrow_options=units)
    ours = read_with_maxstorage(service, "all_types", columns=columns, types_timestamp_unit=timestamps, types_datetime_unit="micro")
    assert_same_cells(ours, theirs)


def test_the_cells_are_those_that_were_loaded(service):
    """Not only equal to each other: what arrives is what the Parquet file held."""
    ours = read_with_maxstorage(service, "all_types")
    expected = {name: array for name, _, array in tables.COLUMNS}
    expected["c_char"] = pa.array(["ab  ", "    ", None, "abcd"])  # CHAR arrives padded to its length
    for name in ("c_datetime", "c_timestamp"):
        expected[name] = expected[name].cast(pa.timestamp(expected[name].type.unit, "UTC"))
    expected["c_day_time"] = expected["c_day_time"].cast(pa.int64())
    ours = with_integers_for_intervals(ours)
    for name, array in expected.items():
        column = ours.column(name).combine_chunks()
        if name == "c_day_time":
            words = struct.unpack(f"<{2 * len(column)}i", column.buffers()[1])
            column = pa.array([None if cell is None else words[2 * row] * 86400000 + words[2 * row + 1] for row, cell in enumerate(column.to_pylist())])
        if pa.types.is_nested(array.type):
            assert column.to_pylist() == array.to_pylist(), name
            continue
        assert column.type == array.type, name
        assert comparable(column).equals(comparable(array)), name


def test_arrow_types_of_the_mapping_table(service):
    """Exactly the Arrow types that the product page lists."""
    schema = read_with_maxstorage(service, "all_types").schema
    listed = {
        "c_tinyint": "int8", "c_smallint": "int16", "c_int": "int32", "c_bigint": "int64", "c_float": "float", "c_double": "double",
        "c_boolean": "bool", "c_string": "string", "c_varchar": "string", "c_char": "string", "c_binary": "binary",
        "c_decimal": "decimal128(15, 2)", "c_decimal38": "decimal128(38, 0)", "c_plain_decimal": "decimal128(38, 18)",
        "c_date": "date32[day]", "c_datetime": "timestamp[ms, tz=UTC]", "c_timestamp": "timestamp[ns, tz=UTC]", "c_timestamp_ntz": "timestamp[ns]",
        "c_months": "month_interval", "c_day_time": "day_time_interval",
    }  # fmt: skip
    for name, arrow_type in listed.items():
        assert str(schema.field(name).type) == arrow_type, name
    assert pa.types.is_list(schema.field("c_array").type) and pa.types.is_map(schema.field("c_map").type)
    assert pa.types.is_struct(schema.field("c_struct").type)


def test_an_unknown_column_is_named(service):
    with pytest.raises(maxstorage.Failure, match="c_nothing"):
        read_with_maxstorage(service, "all_types", columns=["c_nothing"])
