"""A Parquet file with every type that duckdb_table reads, NULLs among the values: `values.py FILE`."""
import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 10_000  # several batches, each of several vectors of DuckDB


def column(type, make, every):
    return pa.array([None if row % every == 0 else make(row) for row in range(ROWS)], type)


def exact(digits, scale, every):
    top = 10**digits - 1
    return column(pa.decimal128(digits, scale), lambda row: decimal.Decimal((top - row % 7) * (-1) ** row).scaleb(-scale, decimal.Context(38)), every)


pq.write_table(
    pa.table({
        "id": pa.array(range(ROWS), pa.int64()),
        "small": column(pa.int32(), lambda row: -row, 3),
        "real": column(pa.float64(), lambda row: row / 8, 5),
        "d4": exact(4, 2, 7),
        "d9": exact(9, 3, 8),
        "d18": exact(18, 4, 9),
        "d38": exact(38, 10, 11),
        "day": column(pa.date32(), lambda row: datetime.date(1900, 1, 1) + datetime.timedelta(row * 5), 13),
        "note": column(pa.string(), lambda row: "ß" * (row % 40), 17),
    }),
    sys.argv[1],
)  # fmt: skip
