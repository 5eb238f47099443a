"""Ends while threads of the library are about to call Python: log, waker and memory hooks of a read that goes on."""
import os
import threading

import maxstorage

options = maxstorage.Options(endpoint=os.environ["MS_TEST_ENDPOINT"], project="local", access_key_id="local", access_key_secret="local")
options.set_memory_hooks(lambda size: True, lambda size: None)
maxstorage.set_log(lambda *record: None, "trace")
client = maxstorage.Client(options)
session = client.read("lineitem", split__mode="row_offset", split__rows=500)
scan, other = session.scan(), session.scan()
scan.on_ready(lambda: None)
for _ in range(3):
    scan.try_next()
threading.Thread(target=lambda: list(other), daemon=True).start()
