"""Python over bindings/python: `read.py ENDPOINT TOKEN-FILE TIMES` imports every batch of every split into pyarrow; prints the rows as JSON."""
import pathlib
import sys

import maxstorage
import pyarrow

endpoint, token, times = sys.argv[1:]
client = maxstorage.Client(endpoint=endpoint, access_key_id="local", access_key_secret="local")
session = client.attach(pathlib.Path(token).read_bytes())
rows = 0
for _ in range(int(times)):
    for index in range(len(session)):
        for batch in session.split(index):
            rows += pyarrow.record_batch(batch).num_rows
print('{"rows": %d}' % rows)
