"""TPC-H query 6 by pyarrow over the Parquet files of a service's root: prints revenue and number of matching rows."""
import datetime
import decimal
import pathlib
import sys

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

COLUMNS = ["l_quantity", "l_extendedprice", "l_discount", "l_shipdate"]
files = [str(path) for path in pathlib.Path(sys.argv[1]).rglob("*.parquet") if "l_shipdate" in pq.read_schema(path).names]
table = ds.dataset(files).to_table(columns=COLUMNS)
date, quantity, discount = pc.field("l_shipdate"), pc.field("l_quantity"), pc.field("l_discount")
matching = table.filter(
    (date >= datetime.date(1994, 1, 1)) & (date < datetime.date(1995, 1, 1))
    & (discount >= decimal.Decimal("0.05")) & (discount <= decimal.Decimal("0.07")) & (quantity < decimal.Decimal("24"))
)  # fmt: skip
revenue = sum(price * rate for price, rate in zip(matching["l_extendedprice"].to_pylist(), matching["l_discount"].to_pylist()))
print(revenue.quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP), matching.num_rows)
