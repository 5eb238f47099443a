/* The versions of the header and of the loaded library agree, and every status has its name. */
#include "check.h"

static void header_and_library_agree(void) {
  char text[64];
  snprintf(text, sizeof text, "%d.%d.%d", MS_VERSION_MAJOR, MS_VERSION_MINOR, MS_VERSION_PATCH);
  CHECK_TEXT(ms_version(), text);
  CHECK_INT(ms_abi_version(), MS_ABI_VERSION);
  CHECK_TEXT(MS_VERSION, text);
  CHECK_INT(MS_VERSION_NUMBER, MS_VERSION_MAJOR * 1000000 + MS_VERSION_MINOR * 1000 + MS_VERSION_PATCH);
}

static void build_info_names_the_version(void) { CHECK_CONTAINS(ms_build_info(), ms_version()); }

static void features_are_told(void) {
  CHECK((ms_features() & MS_FEATURE_BATCH_LIMITS) != 0);
  CHECK_INT((int64_t)(ms_features() >> 63), 0);
}

#define STATUSES(X)                                                                                                              \
  X(MS_OK, 0) X(MS_PENDING, 0) X(MS_INVALID_ARGUMENT, 100) X(MS_INVALID_OPTION, 100) X(MS_BUSY, 100) X(MS_WRONG_STATE, 100)                       \
  X(MS_UNSUPPORTED, 100) X(MS_FORKED, 100) X(MS_UNAUTHENTICATED, 200) X(MS_PERMISSION_DENIED, 200) X(MS_QUOTA_DENIED, 200)       \
  X(MS_NOT_FOUND, 300) X(MS_ALREADY_EXISTS, 300) X(MS_SESSION_EXPIRED, 300) X(MS_TABLE_CHANGED, 300)                             \
  X(MS_TABLE_KIND_UNSUPPORTED, 300) X(MS_UNAVAILABLE, 400) X(MS_THROTTLED, 400) X(MS_TIMEOUT, 400) X(MS_CONNECTION, 400)         \
  X(MS_RESOURCE_EXHAUSTED, 400) X(MS_CORRUPT_DATA, 500) X(MS_SCHEMA_MISMATCH, 500) X(MS_VALUE_OUT_OF_RANGE, 500)                 \
  X(MS_COMMIT_CONFLICT, 500) X(MS_COMMIT_UNKNOWN, 500) X(MS_CANCELLED, 600) X(MS_DEADLINE_EXCEEDED, 600) X(MS_INTERNAL, 900)

static void every_status_has_its_name_and_band(void) {
  const struct {
    ms_status value, band;
    const char *name;
  } statuses[] = {
#define ROW(constant, band) {constant, band, #constant},
      STATUSES(ROW)
#undef ROW
  };
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    CHECK_TEXT(ms_status_name(statuses[i].value), statuses[i].name);
    CHECK_INT(statuses[i].value / 100 * 100, statuses[i].band);
    for (size_t j = 0; j < i; j++) CHECK(statuses[i].value != statuses[j].value);
  }
}

static void an_unknown_status_has_a_name_too(void) {
  const ms_status unknown[] = {-1, 99, 999, 12345, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    CHECK_TEXT(ms_status_name(unknown[i]), "MS_UNKNOWN");
  }
}

int main(void) {
  RUN(header_and_library_agree);
  RUN(build_info_names_the_version);
  RUN(features_are_told);
  RUN(every_status_has_its_name_and_band);
  RUN(an_unknown_status_has_a_name_too);
  return check_end();
}
