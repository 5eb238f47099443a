// DuckDB for C: this module holds the header and the static libraries of a release. tests/gates/engines links them; nothing is Go here.
module engines

go 1.24

require github.com/duckdb/duckdb-go-bindings/lib/linux-amd64 v0.10506.0
