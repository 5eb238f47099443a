"""The official client of versions 2 and 3 before `odps.maxstorage` (`odps.apis.storage_api_v2`): each call, with values compared."""
import odps
import pyarrow as pa
import pytest
from odps.apis.storage_api_v2 import StorageApiArrowClient
from odps.apis.storage_api_v2.models import (
    BlobWriteItem,
    ChecksumType,
    Compression,
    SessionStatus,
    SplitOptions,
    WriteMode,
)
from odps.errors import ODPSError

import client


def test_this_is_the_old_release():
    assert odps.__version__ == "0.13.1"


@pytest.fixture(params=["2", "3"])
def version(request):
    return request.param


@pytest.fixture
def storage(service, version):
    def of(table):
        entry = client.entry(service)
        return StorageApiArrowClient(entry, entry.get_table(table), quota_name="pay-as-you-go", api_version=version)

    return of


def batches(reader):
    found = []
    while (batch := reader.read()) is not None:
        found.append(batch)
    return found


def rows(api, **request):
    session = api.create_read_session(**request)
    assert session.session_status == SessionStatus.NORMAL
    found = [batch for index in range(session.splits_count) for batch in batches(api.read_rows_arrow(session.session_id, split_index=index))]
    return client.rows(found, "id")


def ids(api, **request):
    return [row["id"] for row in rows(api, **request)]


def write(api, session, stream, batch, version=0, **further):
    writer = api.write_rows_arrow(session.session_id, stream, version, record_count=batch.num_rows, compression=Compression.LZ4_FRAME, **further)
    assert writer.write(batch)
    _, good = writer.finish()
    assert good and writer.get_request_id()
    return writer.get_write_stream_response()


def test_reading_by_size(storage):
    session = storage("lineitem").create_read_session(required_data_columns=["l_orderkey"])
    assert session.session_status == SessionStatus.NORMAL and session.splits_count >= 1 and session.request_id
    assert [column.name for column in session.data_schema.data_columns] == ["l_orderkey"]
    api = storage("lineitem")
    assert sum(batch.num_rows for index in range(session.splits_count) for batch in batches(api.read_rows_arrow(session.session_id, split_index=index))) == 60175


def test_reading_by_rows(storage):
    api = storage("ramp")
    session = api.create_read_session(split_options=SplitOptions(split_mode=SplitOptions.SplitMode.ROW_OFFSET))
    assert session.record_count == 4000
    found = client.rows(batches(api.read_rows_arrow(session.session_id, row_offset=1234, row_count=1000, max_batch_rows=300)))
    assert [row["id"] for row in found] == list(range(1234, 2234))
    found = client.rows(batches(api.read_rows_arrow(session.session_id, row_offset=0, row_count=4000, skip_row_num=3990)))
    assert [row["id"] for row in found] == list(range(3990, 4000))


def test_sessions_are_found_again_and_refreshed(storage):
    api = storage("ramp")
    session = api.create_read_session()
    again = api.get_read_session(session.session_id, refresh=True)
    assert again.session_status == SessionStatus.NORMAL and again.expiration_time >= session.expiration_time


def test_partitions_and_filters(storage):
    assert len(ids(storage("parted"), required_partitions=["ds=20260101,region=us"])) == 1000
    found = ids(storage("ramp"), filter_predicate="id >= 1000 and id < 1500")
    assert set(range(1000, 1500)) <= set(found) and len(found) < 4000
    assert len(ids(storage("ramp"), filter_predicate="c_string like 'it%'", filter_predicate_fallback=True)) == 4000


def test_previews(storage):
    [batch] = batches(storage("ramp").preview_table_arrow(limit=10, columns=["id"]))
    assert batch.column("id").to_pylist() == list(range(10))
    [batch] = batches(storage("parted").preview_table_arrow(limit=3, partition="ds=20260101,region=us"))
    assert batch.schema.names == ["id", "note", "ds", "region"] and batch.num_rows == 3


def test_refusals(service, version):
    entry = client.entry(service)
    with pytest.raises(ODPSError) as refusal:
        StorageApiArrowClient(entry, entry.get_table("nothing"), api_version=version).create_read_session()
    assert "NoSuchTable" in (refusal.value.code or type(refusal.value).__name__) and refusal.value.request_id


def test_a_batch_write(service, storage):
    api = storage(client.create(service, "(id bigint, name string)"))
    session = api.create_write_session()
    for number, stream in enumerate("abc"):
        api.create_write_stream(session.session_id, stream, 1)
        write(api, session, stream, client.batch(number * 10, number * 10 + 10), 1)
        found = api.get_write_stream(session.session_id, stream, 1)
        assert found.record_count == 10 and found.status == "OPEN"
        api.close_write_stream(session.session_id, stream, 1)
        assert api.get_write_stream(session.session_id, stream, 1).status == "CLOSED"
    assert api.get_write_session(session.session_id)
    assert ids(api) == []
    api.commit_write_session(session.session_id, stream_ids=["a", "c"], stream_versions=[1, 1])
    assert ids(api) == [*range(10), *range(20, 30)]


def test_everything_is_committed_if_nothing_is_named(service, storage):
    api = storage(client.create(service, "(id bigint, name string) partitioned by (ds string)"))
    session = api.create_write_session(partial_partition_spec="ds=20260101", flags={"overwrite": True})
    api.create_write_stream(session.session_id, "a", 0)
    write(api, session, "a", client.batch(0, 5))
    api.commit_write_session(session.session_id)
    assert {row["ds"] for row in rows(api)} == {"20260101"} and len(ids(api)) == 5


def test_a_higher_version_replaces_the_lower(service, storage):
    api = storage(client.create(service, "(id bigint, name string)"))
    session = api.create_write_session()
    for version in (0, 1):
        api.create_write_stream(session.session_id, "a", version)
        write(api, session, "a", client.batch(version, version + 1), version)
    with pytest.raises(ODPSError):
        write(api, session, "a", client.batch(5, 6), 0)
    api.commit_write_session(session.session_id)
    assert ids(api) == [1]


def test_aborting_is_repeatable(service, storage):
    api = storage(client.create(service, "(id bigint, name string)"))
    session = api.create_write_session()
    api.create_write_stream(session.session_id, "a", 0)
    write(api, session, "a", client.batch(0, 5))
    api.abort_write_session(session.session_id)
    api.abort_write_session(session.session_id)
    assert ids(api) == []
    with pytest.raises(ODPSError):
        api.commit_write_session(session.session_id)


def test_streaming(service, storage, version):
    api = storage(client.create(service, "(id bigint, name string)"))
    if version == "3":
        session = api.create_write_session(write_mode=WriteMode.STREAMING)
        name = session.session_id
    else:
        name = "default"

    class Session:
        session_id = name

    api.create_write_stream(name, "default", 0)
    answer = write(api, Session, "default", client.batch(0, 3))
    assert ids(api) == [0, 1, 2]
    if version == "3":
        assert int(api.get_min_uncommitted_staging_id(name)) > int(answer.staging_id)


def test_blobs(service, storage, version):
    api = storage(client.create(service, "(id bigint, picture blob)"))
    session = api.create_write_session()
    created = api.create_write_stream(session.session_id, "a", 0)
    column = 2  # n-th column of a table without nested types
    if version == "3":
        assert list(api.get_write_schema(created).find_all_blob_column_ids().values()) == [column]
    writer = api.write_blob_stream(session.session_id, "a", 0, column_index=column)
    writer.write(b"first blob")
    one = writer.finish()
    assert one.size == 10
    items = [
        BlobWriteItem(b"second", column_index=column, mime_type="text/plain", checksum_type=ChecksumType.CRC32),
        BlobWriteItem(b"", column_index=column, checksum_type=ChecksumType.MD5),
    ]
    several = api.write_blob_batch(items, session.session_id, "a", 0)
    import base64

    references = [base64.b64decode(text) for text in [one.blob_reference, *several.blob_references]]
    write(api, session, "a", pa.record_batch({"id": pa.array([0, 1, 2], pa.int64()), "picture": pa.array(references, pa.binary())}))
    api.commit_write_session(session.session_id)
    stored = [row["picture"].decode() for row in rows(api)]
    records = list(api.read_blobs(stored))
    assert [record.data for record in records] == [b"first blob", b"second", b""] and records[1].mime_type == "text/plain"
    assert [record.data for record in api.read_blobs(stored[:1])] == [b"first blob"]
