"""The official client of version 1 (`odps.apis.storage_api`) writes; what it wrote is read back."""
import time

import pyarrow as pa
import pytest
from odps.apis.storage_api import (
    Compression,
    DynamicPartitionOptions,
    ReadRowsRequest,
    SessionRequest,
    SessionStatus,
    SplitOptions,
    Status,
    StorageApiArrowClient,
    TableBatchScanRequest,
    TableBatchWriteRequest,
    WriteRowsRequest,
)
from odps.errors import ODPSError

import client


def storage(service, table):
    entry = client.entry(service)
    return StorageApiArrowClient(entry, entry.get_table(table), quota_name="pay-as-you-go")


def begin(api, **request):
    session = api.create_write_session(TableBatchWriteRequest(**request))
    assert session.status == Status.OK and session.session_status == SessionStatus.NORMAL
    return session


def write(api, session, block, *batches, attempt=0, compression=Compression.LZ4_FRAME):
    """One block; its commit message."""
    request = WriteRowsRequest(session.session_id, block_number=block, attempt_number=attempt, compression=compression)
    writer = api.write_rows_arrow(request)
    for batch in batches:
        assert writer.write(batch)
    message, suc = writer.finish()
    assert suc and writer.get_status() == Status.OK and writer.get_request_id()
    return message


def commit(api, session, *messages):
    result = api.commit_write_session(SessionRequest(session.session_id), list(messages))
    deadline = time.monotonic() + 30
    while result.session_status != SessionStatus.COMMITTED and time.monotonic() < deadline:
        time.sleep(0.05)
        result = api.get_write_session(SessionRequest(result.session_id))
    assert result.session_status == SessionStatus.COMMITTED
    return result


def rows(api):
    session = api.create_read_session(TableBatchScanRequest(split_options=SplitOptions.get_default_options(SplitOptions.SplitMode.SIZE)))
    batches = []
    for index in range(session.split_count):
        reader = api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=index))
        while (batch := reader.read()) is not None:
            batches.append(batch)
    return client.rows(batches, "id")


def ids(api):
    return [row["id"] for row in rows(api)]


@pytest.mark.parametrize("compression", list(Compression))
def test_blocks(service, compression):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api, overwrite=False)
    assert [column.name for column in session.data_schema.data_columns] == ["id", "name"] and session.max_block_num > 0
    first = write(api, session, 0, client.batch(0, 10), client.batch(10, 300), compression=compression)
    second = write(api, session, 1, client.batch(300, 400), compression=compression)
    write(api, session, 2, client.batch(400, 500), compression=compression)
    assert ids(api) == []
    commit(api, session, first, second)
    assert rows(api) == client.rows([client.batch(0, 400)])
    assert commit(api, session, first, second).session_status == SessionStatus.COMMITTED  # once more is the same
    assert len(ids(api)) == 400


def test_overwriting_is_the_default(service):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    for number in range(2):
        session = begin(api)
        commit(api, session, write(api, session, 0, client.batch(number, number + 1)))
    assert ids(api) == [1]


def test_attempts(service):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api)
    write(api, session, 0, client.batch(0, 10))
    again = write(api, session, 0, client.batch(10, 20), attempt=1)
    commit(api, session, again)
    assert ids(api) == list(range(10, 20))


def test_an_attempt_is_used_once(service):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api)  # checks are this client's default
    write(api, session, 0, client.batch(0, 10))
    with pytest.raises(ODPSError):
        write(api, session, 0, client.batch(0, 10))


def test_a_static_partition(service):
    api = storage(service, client.create(service, "(id bigint, name string) partitioned by (ds string)"))
    session = begin(api, partition_spec="ds=20260101")
    assert session.data_schema.partition_columns == []
    commit(api, session, write(api, session, 0, client.batch(0, 5)))
    assert {row["ds"] for row in rows(api)} == {"20260101"}


def test_dynamic_partitions(service):
    api = storage(service, client.create(service, "(id bigint, name string) partitioned by (ds string)"))
    session = begin(api, dynamic_partition_options=DynamicPartitionOptions(dynamic_partition_limit=3))
    assert [column.name for column in session.data_schema.partition_columns] == ["ds"]
    commit(api, session, write(api, session, 0, client.batch(0, 30, anything=lambda number: f"d{number % 3}")))
    assert all(row["ds"] == f"d{row['id'] % 3}" for row in rows(api)) and len(ids(api)) == 30


def test_streams_that_do_not_fit(service):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api)
    for wrong in (
        pa.record_batch({"id": pa.array([1], pa.int64())}),
        pa.record_batch({"id": pa.array(["one"]), "name": pa.array(["n"])}),
        client.batch(0, 1, third=lambda number: number),
    ):
        with pytest.raises(ODPSError):
            write(api, session, 0, wrong)
    assert ids(api) == []


def test_a_block_without_rows(service):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api)
    commit(api, session, write(api, session, 0))
    assert ids(api) == []


@pytest.mark.parametrize("seconds, good", [(1, True), (600, True), (0, False), (601, False)])
def test_the_wait_for_writers_is_bounded(service, seconds, good):
    api = storage(service, client.create(service, "(id bigint, name string)"))
    session = begin(api)
    messages = [write(api, session, 0, client.batch(0, 1))]
    if good:
        api.commit_write_session(SessionRequest(session.session_id), messages, wait_flying_writers_timeout_seconds=seconds)
    else:
        with pytest.raises(ODPSError):
            api.commit_write_session(SessionRequest(session.session_id), messages, wait_flying_writers_timeout_seconds=seconds)


def test_sessions_are_refreshed(service):
    api = storage(service, "ramp")
    session = api.create_read_session(TableBatchScanRequest())
    time.sleep(0.01)
    refreshed = api.get_read_session(SessionRequest(session.session_id, refresh=True))
    assert refreshed.session_status == SessionStatus.NORMAL and refreshed.expiration_time > session.expiration_time


def test_estimates(service):
    api = storage(service, "ramp")
    session = api.create_read_session(TableBatchScanRequest(enable_estimate_stats=True))
    assert session.session_stats.estimated_row_count == 4000 and session.session_stats.estimated_size > 0
