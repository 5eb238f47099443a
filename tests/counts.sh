# Sourced by gates: runs checks, counts them, ends with the line every gate ends with.
# shellcheck shell=bash
passed=0 failed=0 skipped=0

# count COMMAND...: a check that passes if the command succeeds.
count() {
  if "$@"; then
    passed=$((passed + 1))
    printf 'ok     %s\n' "$*"
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n' "$*"
  fi
}

# skip SENTENCE: a part of the gate that cannot run here, and why.
skip() {
  skipped=$((skipped + 1))
  printf 'skipped: %s\n' "$*"
}

# none_match GREP-ARGUMENTS...: no line matches; an error of grep is not "none".
none_match() {
  grep "$@"
  [ $? -eq 1 ]
}

finish() {
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
