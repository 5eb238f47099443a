"""Reads a table of project `local` with an official Python client, throws the batches away and prints how many rows there were.

    pyodps_read.py v1|maxstorage SERVICE TABLE COMPRESSION BATCH-ROWS TIMES
"""
import sys
import time

import odps

client, service, table, compression, batch_rows, times = sys.argv[1:]
entry = odps.ODPS("local", "local", project="local", endpoint=f"{service}/api")


def with_v1():
    from odps.apis.storage_api import Compression, ReadRowsRequest, SessionRequest, SessionStatus, SplitOptions, StorageApiArrowClient, TableBatchScanRequest

    codec = {"none": Compression.UNCOMPRESSED, "lz4": Compression.LZ4_FRAME, "zstd": Compression.ZSTD}[compression]
    api = StorageApiArrowClient(entry, entry.get_table(table))
    options = SplitOptions()
    options.split_mode, options.split_number = SplitOptions.SplitMode.PARALLELISM, 1
    session = api.create_read_session(TableBatchScanRequest(split_options=options))
    while session.session_status == SessionStatus.INIT:
        time.sleep(0.05)
        session = api.get_read_session(SessionRequest(session.session_id))
    for _ in range(int(times)):
        for index in range(session.split_count):
            reader = api.read_rows_arrow(ReadRowsRequest(session.session_id, split_index=index, compression=codec, max_batch_rows=int(batch_rows)))
            while (batch := reader.read()) is not None:
                yield batch


def with_maxstorage():
    from odps.maxstorage import MaxStorageClient, SplitMode, SplitOptions

    storage = MaxStorageClient(entry, quota_name="pay-as-you-go")
    options = SplitOptions(split_mode=SplitMode.SIZE, split_number=1 << 40)  # this client knows no parallelism: one split of everything
    session = storage.create_table_read_session(table, split_options=options)
    for _ in range(int(times)):
        for split in session.splits:
            with session.open_arrow_reader(split, max_batch_rows=int(batch_rows), compress_algo=None if compression == "none" else compression) as reader:
                yield from reader


rows = sum(batch.num_rows for batch in {"v1": with_v1, "maxstorage": with_maxstorage}[client]())
print(f'{{"rows": {rows}}}')
