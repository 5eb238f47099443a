/* A second translation unit of the test header_alone: including the header defines nothing twice. */
#include <maxstorage.h>

int32_t other_unit_abi_version(void);
const char *other_unit_version(void);

int32_t other_unit_abi_version(void) { return ms_abi_version(); }
const char *other_unit_version(void) { return ms_version(); }
