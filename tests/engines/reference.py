"""TPC-H queries 1 and 6 by DuckDB over the Parquet files of a service's root, in the form in which acero_tpch prints them:
`reference.py ROOT q1|q6`."""
import decimal
import pathlib
import sys

import duckdb
import pyarrow.parquet as pq

QUERIES = {
    "q1": """
        select l_returnflag, l_linestatus, sum(l_quantity) sum_qty, sum(l_extendedprice) sum_base_price,
               sum(l_extendedprice * (1 - l_discount)) sum_disc_price, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) sum_charge,
               sum(l_quantity) avg_qty, sum(l_extendedprice) avg_price, sum(l_discount) avg_disc, count(*) count_order
        from lineitem where l_shipdate <= date '1998-12-01' - interval 90 day
        group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    "q6": """
        select sum(l_extendedprice * l_discount) revenue from lineitem
        where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' and l_discount between 0.05 and 0.07 and l_quantity < 24""",
}
root, query = sys.argv[1:]
files = [str(path) for path in pathlib.Path(root).rglob("*.parquet") if "l_shipdate" in pq.read_schema(path).names]
duckdb.sql(f"create view lineitem as from read_parquet({files})")
answer = duckdb.sql(QUERIES[query])
print("|".join(answer.columns))
decimal.getcontext().prec = 60
for row in answer.fetchall():
    values = dict(zip(answer.columns, row))
    # An average is a decimal of the sum's digits and thirteen behind the point, as division of decimals has it in Arrow: cut, not rounded.
    averages = {name: (values[name] / values["count_order"]).quantize(decimal.Decimal("1e-13"), decimal.ROUND_DOWN) for name in values if name.startswith("avg_")}
    print("|".join(str(value) for value in (values | averages).values()))
