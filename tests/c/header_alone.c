/* The header is the first and only include, and a second time: it needs nothing before it and repeats without harm. */
#include <maxstorage.h>
#include <maxstorage.h>
#include <maxstorage/arrow_abi.h>

#if !defined(ARROW_C_DATA_INTERFACE) || !defined(ARROW_C_STREAM_INTERFACE)
#error "the canonical guards of the Arrow C interfaces are missing"
#endif
#if !defined(ARROW_FLAG_DICTIONARY_ORDERED) || !defined(ARROW_FLAG_NULLABLE) || !defined(ARROW_FLAG_MAP_KEYS_SORTED)
#error "the flags of the Arrow C Data Interface are missing"
#endif

int32_t other_unit_abi_version(void);
const char *other_unit_version(void);

#include "check.h"

static void two_units_agree(void) {
  CHECK_INT(other_unit_abi_version(), ms_abi_version());
  CHECK_TEXT(other_unit_version(), ms_version());
}

/* The layout that every consumer of the Arrow interfaces relies on. */
static void arrow_structures_have_the_specified_layout(void) {
  const size_t pointer = sizeof(void *);
  CHECK_INT(sizeof(struct ArrowSchema), 6 * pointer + 3 * pointer);
  CHECK_INT(offsetof(struct ArrowSchema, flags), 3 * pointer);
  CHECK_INT(offsetof(struct ArrowSchema, release), 7 * pointer);
  CHECK_INT(sizeof(struct ArrowArray), 10 * pointer);
  CHECK_INT(offsetof(struct ArrowArray, buffers), 5 * sizeof(int64_t));
  CHECK_INT(offsetof(struct ArrowArray, release), 8 * pointer);
  CHECK_INT(sizeof(struct ArrowArrayStream), 5 * pointer);
}

int main(void) {
  RUN(two_units_agree);
  RUN(arrow_structures_have_the_specified_layout);
  return check_end();
}
