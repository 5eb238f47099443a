"""libmaxstorage reads the same cells over every version of the Storage API, and changes and results over those that have them."""
import re
import urllib.request

import pyarrow as pa
import pytest

import client
import maxstorage
from fixture import load
from test_conformance import COMPRESSIONS, assert_same_cells, read_with_maxstorage
from test_delta import AFTER, BEFORE, DELETE, INSERT, KEYED, PARTED, SYSTEM, UPDATE
from test_governance import POLICY, Service, strict  # noqa: F401

LATER = ["2", "3"]
FAR = 253_402_300_799_999_999  # the last microsecond of the year 9999


def assert_same_over_all(service, table, read=read_with_maxstorage, **settings):
    """Reads by every version, and returns what version 1 delivered."""
    first = read(service, table, protocol=1, **settings)
    for version in LATER:
        assert_same_cells(read(service, table, protocol=version, **settings), first)
    return first


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("table", ["all_types", "many_rows", "lineitem"])
def test_every_type_in_every_compression(service, table, compression):
    assert_same_over_all(service, table, read_compression=compression)


@pytest.mark.parametrize("mode", [
    {"split_mode": "size", "split_size_bytes": 10 << 20}, {"split_mode": "parallelism", "split_parallelism": 4},
    {"split_mode": "row_offset", "split_rows": 7001},
])  # fmt: skip
def test_split_modes(service, mode):
    assert_same_over_all(service, "many_rows", read_compression="lz4", **mode)


def test_columns_partitions_and_filters(service):
    rows = assert_same_over_all(service, "parted", partitions=["ds=20260101"])
    assert rows.column_names == ["id", "note", "ds", "region"]
    assert_same_over_all(service, "parted", columns=["note"], partition_columns=["region"])
    for mode, rows in (("size", 2500), ("row_offset", 4000)):  # rows that are addressed by number are not skipped
        some = assert_same_over_all(service, "ramp", columns=["id"], filter_text="`id` >= 1700", split_mode=mode)
        assert some.num_rows == rows and set(range(1700, 4000)) <= set(some["id"].to_pylist())
    for protocol in ("1", "2", "3"):
        with pytest.raises(maxstorage.Failure, match="MS_NOT_FOUND|MS_INVALID_ARGUMENT"):
            read_with_maxstorage(service, "parted", columns=["nothing"], protocol=protocol)
        assert read_with_maxstorage(service, "empty", protocol=protocol).num_rows == 0


def test_clustered_tables_by_bucket(service):
    table = client.create(service, "(id bigint, name string) clustered by (id) into 4 buckets")
    client.entry(service).execute_sql(f"insert into table {table} select id, c_string from ramp;")
    by_bucket = assert_same_over_all(service, table, split_mode="bucket")
    assert sorted(by_bucket["id"].to_pylist()) == sorted(read_with_maxstorage(service, "ramp")["id"].to_pylist())
    one = assert_same_over_all(service, table, split_mode="bucket", bucket_ids=["1"])
    assert 0 < one.num_rows < by_bucket.num_rows
    # Which bucket a split is said to be, is the one whose rows it has.
    for protocol in ("1", *LATER):
        splits = maxstorage.splits(f"{service}/api", f"local.default.{table}", split_mode="bucket", protocol=protocol)
        assert sorted(split["bucket"] for split, _ in splits) == [0, 1, 2, 3]
        for split, rows in splits:
            bucket = read_with_maxstorage(service, table, split_mode="bucket", bucket_ids=[str(split["bucket"])], protocol=protocol)
            assert rows.num_rows > 0 and rows.equals(bucket)


# ------------------------------------------------------------------------------------------------------------- both layouts of times


@pytest.fixture
def wide(tmp_path):
    """A service that sends every timestamp as seconds and nanoseconds, over all versions."""
    from fixture import load_all

    directory = tmp_path / "tables"
    directory.mkdir()
    load_all(tmp_path / "root", directory)
    service = Service(tmp_path, "--timestamps", "struct")
    yield service.address
    service.close()


def test_timestamps_as_seconds_and_nanoseconds(service, wide):
    for unit in ("nano", "micro", "milli", "second"):
        counted = read_with_maxstorage(service, "all_types", protocol=1, types_timestamp_unit=unit)
        assert_same_cells(assert_same_over_all(wide, "all_types", types_timestamp_unit=unit), counted)


def test_times_beyond_nanoseconds(tmp_path):
    times = pa.array([0, FAR, None], pa.int64()).cast(pa.timestamp("us"))
    field = pa.field("t", times.type, metadata={b"maxcompute.type": b"timestamp"})
    nested = pa.array([[None, {"x": 1}], [], [{"x": FAR}]], pa.list_(pa.struct([pa.field("x", pa.timestamp("us"))])))
    table = pa.Table.from_arrays([times, nested], schema=pa.schema([field, pa.field("n", nested.type)]))
    load(tmp_path / "root", "local.default.far", table, tmp_path)
    service = Service(tmp_path)
    try:
        for protocol in LATER:
            read = read_with_maxstorage(service.address, "far", protocol=protocol, types_timestamp_unit="micro")
            assert read["t"].cast(pa.int64()).to_pylist() == [0, FAR, None]
            assert read["n"].to_pylist()[0][0] is None and len(read["n"].to_pylist()[2]) == 1
            with pytest.raises(OSError, match="cannot be told as"):
                read_with_maxstorage(service.address, "far", protocol=protocol)
    finally:
        service.close()


# ------------------------------------------------------------------------------------------------------------- changes and results


@pytest.mark.parametrize("protocol", ["auto", *LATER])
@pytest.mark.parametrize("columns, into", [(KEYED, ""), (PARTED, " partition (pt='a')")])
def test_changes(service, protocol, columns, into):
    table = client.create(service, columns)
    sql = client.entry(service).execute_sql

    def changes(start, mode="cdc", **more):
        read = read_with_maxstorage(service, table, protocol=protocol, incremental_mode=mode, incremental_start_version=start, **more)
        assert set(SYSTEM) < set(read.column_names)
        return [(row["id"], row["val"], row["__meta_op_type"]) for row in read.to_pylist()]

    sql(f"insert into table {table}{into} values (1, '1');")
    sql(f"insert into table {table}{into} values (2, '2');")
    sql(f"delete from {table} where id = 2;")
    sql(f"update {table} set val = '3' where id = 1;")
    assert changes(1, incremental_end_version=2) == [(1, "1", INSERT)]
    assert sorted(changes(3)) == [(1, "1", BEFORE), (1, "3", AFTER), (2, "2", DELETE)]
    assert changes(4, "append") == [(1, "3", UPDATE)]
    assert len(changes(0)) == 5
    state = read_with_maxstorage(service, table, protocol=protocol, columns=["id", "val"], split_mode="row_offset")
    assert state.to_pylist() == [{"id": 1, "val": "3"}]
    read = read_with_maxstorage(service, table, protocol=protocol, incremental_end_timestamp="2020-01-01 00:00:00")
    assert read.num_rows == 0


def test_changes_need_a_later_version(service):
    table = client.create(service, KEYED)
    with pytest.raises(maxstorage.Failure, match="MS_UNSUPPORTED.*protocol"):
        read_with_maxstorage(service, table, protocol=1, incremental_mode="append")


@pytest.mark.parametrize("protocol", ["auto", *LATER])
def test_results_of_instances(service, protocol):
    instance = client.entry(service).execute_sql("select id, c_string from ramp where id >= 100 and id < 350;")

    def read(**more):
        return maxstorage.read(f"{service}/api", project="local", instance=instance.id, protocol=protocol, **more)

    for compression in COMPRESSIONS:
        rows = read(split_rows=100, read_compression=compression)
        assert rows["id"].to_pylist() == list(range(100, 350)) and rows["c_string"][0].as_py() == "it's 0100"
    with pytest.raises(maxstorage.Failure, match="MS_NOT_FOUND"):
        maxstorage.read(f"{service}/api", project="local", instance="20260101000000000gnothing", protocol=protocol)


def test_results_with_every_type(service):
    instance = client.entry(service).execute_sql("select * from all_types;")
    results = [maxstorage.read(f"{service}/api", project="local", instance=instance.id, protocol=version) for version in LATER]
    assert_same_cells(*results)
    table = read_with_maxstorage(service, "all_types")
    assert_same_cells(results[0], table)


# ------------------------------------------------------------------------------------------------------------- workers and quotas


def requests(service):
    """Counts of all requests for data so far, by operation and version."""
    with urllib.request.urlopen(f"{service}/metrics") as answer:
        lines = re.findall(r'^maxstorage_request_total\{operation="(\w+)",protocol="(\w+)",code="\d+"\} (\d+)$', answer.read().decode(), re.M)
    return {(operation, version): int(count) for operation, version, count in lines if operation != "Admin"}


@pytest.mark.parametrize("protocol", ["1", *LATER])
def test_a_worker_opens_its_split_with_one_request(service, protocol):
    token, splits = maxstorage.plan(f"{service}/api", "local.default.many_rows", protocol=protocol, split_mode="row_offset", split_rows=9000)
    assert splits == 3
    before = requests(service)
    rows = sum(batch.num_rows for batch in maxstorage.read_split(f"{service}/api", token, 2))
    assert rows == 2000
    after = requests(service)
    made = {key: count - before.get(key, 0) for key, count in after.items() if count != before.get(key, 0)}
    assert made == {("TableRead", f"v{protocol}"): 1}


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("protocol", ["1", *LATER])
def test_quotas(strict, protocol, configured):  # noqa: F811
    owner = client.entry(strict.address)
    owner.run_security_query("set tenant property storage_api_switch=true")
    settings = {"data_endpoint": strict.address} if configured else {}

    def read(**more):
        return maxstorage.read(f"{strict.address}/api", "local.default.t", protocol=protocol, **settings, **more).num_rows

    assert read() == 100
    with pytest.raises(maxstorage.Failure, match="MS_QUOTA_DENIED|MS_PERMISSION_DENIED"):
        read(quota="pay-as-you-go")
    owner.run_security_query(f"create tenant role storage_reader with policy {POLICY}")
    owner.run_security_query("grant tenant role storage_reader to user ALIYUN$local@localhost")
    assert read(quota="pay-as-you-go") == 100


def test_exact_filters_and_fewer_columns(service):
    exact = {"filter_text": "id >= 1700 and id < 1710", "filter_exact": "true"}
    whole = assert_same_over_all(service, "ramp", **exact)
    assert whole["id"].to_pylist() == list(range(1700, 1710))
    for mode in ("size", "row_offset"):
        assert_same_cells(assert_same_over_all(service, "ramp", columns=["c_string"], split_mode=mode, **exact), whole.select(["c_string"]))
