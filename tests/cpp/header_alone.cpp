// The header is the first include of a C++17 program, twice, and beside a foreign copy of the Arrow structures.
#include <maxstorage.h>
#include <maxstorage.h>

// Another producer's header under the canonical guards must not clash, whichever comes first.
#ifndef ARROW_C_DATA_INTERFACE
#error "the canonical guard of the Arrow C Data Interface is missing"
struct ArrowSchema {};
struct ArrowArray {};
#endif

#include <type_traits>

#include "check.h"

namespace {

static_assert(std::is_same_v<ms_status, int32_t>);
static_assert(std::is_standard_layout_v<ArrowArray> && std::is_standard_layout_v<ArrowSchema> && std::is_standard_layout_v<ArrowArrayStream>);
static_assert(std::is_same_v<decltype(&ms_split_cancel), void (*)(const ms_split *)>, "cancel takes a const handle: any thread may call it");

void versions_agree() {
  CHECK_INT(ms_abi_version(), MS_ABI_VERSION);
  CHECK_TEXT(ms_status_name(MS_OK), "MS_OK");
}

void nothing_of_the_header_is_a_bare_word() {
  // These are names a program may use for itself; a macro or a global of that name would break the next lines.
  const int options = 1, client = 2, session = 3, split = 4, error = 5, version = 6;
  CHECK_INT(options + client + session + split + error + version, 21);
}

}  // namespace

int main() {
  RUN(versions_agree);
  RUN(nothing_of_the_header_is_a_bare_word);
  return check_end();
}
