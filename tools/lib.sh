# Sourced by the scripts of this repository: where things are, how artefacts are built, how the local service is run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache                         # everything that can be made again; ignored by git
target=${CARGO_TARGET_DIR:-$root/target}   # what cargo builds
case $target in /*) ;; *) target=$PWD/$target ;; esac
export CARGO_TARGET_DIR=$target
unset CARGO_BUILD_TARGET

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# A browser that takes orders, for the test of the page that people see.
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

# rustup installs here and asks for a new login before PATH knows it.
has cargo || PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin

# Library and server are built one after the other, never in one cargo call: in one call cargo would unite the features of their
# dependencies, and what the server asks for would end up in the library.
build_library() { (cd "$root" && cargo build --locked --release -p maxstorage); }
build_server() { (cd "$root" && cargo build --locked --release -p maxstorage-server); }
server=$target/release/maxstorage-server

# A directory with the shared library under the names that linkers and loaders look for, and the static library; a second argument `debug`
# takes those of the debug build.
link_libraries() {
  local directory=$1 profile=${2:-release}
  mkdir -p "$directory/static"
  ln -sf "$target/$profile/libmaxstorage.so" "$directory/libmaxstorage.so"
  ln -sf libmaxstorage.so "$directory/libmaxstorage.so.0"
  ln -sf "$target/$profile/libmaxstorage.a" "$directory/static/libmaxstorage.a"
}

# What a program needs besides the static library, as linker flags; a gate compares the file with what rustc says.
native_static_libs() { cat "$root/cmake/native-static-libs.txt"; }

# Where the TPC-H tables of a scale lie. The name changes with the code that lays them out, so data of another layout is not used.
tpch_path() {
  local layout
  layout=$(cat "$root"/server/src/catalog/*.rs "$root"/server/src/store/*.rs "$root"/server/src/ingest/*.rs "$root"/server/src/types/*.rs "$root"/Cargo.lock | sha256sum)
  printf '%s\n' "$cache/tpch-$1-${layout:0:8}"
}

# The root of a service with the TPC-H tables of a scale in project `local`: generated once, complete or not there at all.
tpch_root() {
  local scale=$1 final
  final=$(tpch_path "$1") || return
  if [ ! -d "$final" ]; then
    mkdir -p "$cache"
    ( # one run generates, the others wait for it
      flock 9
      [ ! -d "$final" ] || exit 0
      rm -rf "$cache/tpch-$scale"-*
      say "generating TPC-H scale $scale (once; kept in .cache)" >&2
      "$server" tpch --root "$final.partial" --project local --scale "$scale" >&2 && mv "$final.partial" "$final"
    ) 9>"$cache/tpch.lock" || return
  fi
  printf '%s\n' "$final"
}

# Starts the service on a free port: sets service_pid and service_url. Further arguments are passed on. Its log goes to the file
# named by service_log, if that is set.
start_service() {
  local service_root=$1 ready=
  shift
  coproc SERVICE { exec "$server" serve --root "$service_root" "$@" 2>>"${service_log:-/dev/null}"; }
  service_pid=$SERVICE_PID
  if ! read -r -t 60 -u "${SERVICE[0]}" ready || [ "${ready#ready http}" = "$ready" ]; then
    die "the service did not become ready${service_log:+; its log is $service_log}"
  fi
  service_url=${ready#ready }
}

# Stops the service, whatever its state, and waits until it is gone.
stop_service() {
  if [ -n "${service_pid:-}" ]; then
    kill "$service_pid" 2>/dev/null
    wait "$service_pid" 2>/dev/null
    service_pid=
  fi
  return 0
}

# The account every service has unless told otherwise.
export_local_credentials() { export ALIBABA_CLOUD_ACCESS_KEY_ID=local ALIBABA_CLOUD_ACCESS_KEY_SECRET=local; }

# The home of the newest JDK that is installed.
newest_jdk() {
  local release
  for release in /usr/lib/jvm/*/release; do
    [ -f "$release" ] && [ -x "$(dirname "$release")/bin/javac" ] || continue
    printf '%s %s\n' "$(sed -nE 's/^JAVA_VERSION="?([0-9]+).*/\1/p' "$release")" "$(dirname "$release")"
  done | sort -n | tail -n 1 | cut -d' ' -f2-
}

# Python with the pinned packages of the conformance tests in .cache/venv, made once for each state of the list.
venv() {
  local wanted=$root/tests/pyodps/requirements.txt venv=$cache/venv log=$cache/venv.log
  cmp -s "$wanted" "$venv/requirements.txt" && "$venv/bin/python" -c 'import odps, playwright, pyarrow, pytest' 2>/dev/null && return 0
  rm -rf "$venv"
  mkdir -p "$cache"
  python3 -m venv "$venv" >"$log" 2>&1 && "$venv/bin/pip" install --disable-pip-version-check -r "$wanted" >>"$log" 2>&1 &&
    cp "$wanted" "$venv/requirements.txt" && return 0
  printf '    the end of .cache/venv.log:\n' >&2
  tail -n 15 "$log" | sed 's/^/    | /' >&2
  return 1
}

# A quick start counts rows, and tells a failure in one line: quick_start COMMAND... prints `ok quick_start` or `FAILED quick_start`.
quick_start() {
  local table=local.default.lineitem counted failure
  export_local_credentials
  counted=$("$@" "$MS_TEST_ENDPOINT" $table) && failure=$("$@" "$MS_TEST_ENDPOINT" ${table}s 2>&1 >/dev/null)
  if [ "$counted" = "60175 rows" ] && grep -q '^hello: MS_NOT_FOUND: .*(request id .*)$' <<<"$failure"; then
    echo 'ok     quick_start'
  else
    printf 'it said "%s" and "%s"\nFAILED quick_start\n' "$counted" "$failure"
    return 1
  fi
}
