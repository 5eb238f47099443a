# Sourced by what builds the library with a sanitizer, tools/lib.sh before it.
# shellcheck shell=bash

triple=$(rustc -vV | sed -n 's/^host: //p')

# Has cargo build with a sanitizer, `address` or `thread`, into $instrumented. Sanitizers are an unstable feature of the compiler:
# RUSTC_BOOTSTRAP lets the stable one have them, for this purpose only.
build_with() {
  # Fast enough to run tests, and all checks of debug builds.
  export RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_INCREMENTAL=0
  export RUSTFLAGS=-Zsanitizer=$1
  instrumented=$target/sanitizers/$1
}
