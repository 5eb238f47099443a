"""Counts the rows of a table: the quick start of docs/python.md."""
import sys

import maxstorage

if len(sys.argv) != 3:
    sys.exit("usage: hello.py ENDPOINT PROJECT.SCHEMA.TABLE")
client = maxstorage.Client(endpoint=sys.argv[1])  # ALIBABA_CLOUD_ACCESS_KEY_ID and ..._SECRET
try:
    print(sum(len(batch) for batch in client.read(sys.argv[2]).scan()), "rows")
except maxstorage.Error as error:
    sys.exit(f"hello: {error}")
