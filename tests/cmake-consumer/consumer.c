/* Uses enough of the library that a missing object, header or native library shows: versions, options, a client, an error. */
#include <maxstorage.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  ms_error *err = NULL;
  ms_client *client = NULL;
  ms_options *options = ms_options_new();
  int failures = ms_abi_version() != MS_ABI_VERSION;
  failures += ms_options_set(options, MS_OPT_ENDPOINT, "https://127.0.0.1:1/api", &err) != MS_OK;
  failures += ms_options_set(options, MS_OPT_ACCESS_KEY_ID, "id", &err) != MS_OK;
  failures += ms_options_set(options, MS_OPT_ACCESS_KEY_SECRET, "secret", &err) != MS_OK;
  failures += ms_client_open(options, &client, &err) != MS_OK;
  failures += ms_options_set(options, "no.such.key", "1", &err) != MS_INVALID_OPTION;
  failures += strstr(ms_error_message(err), "no.such.key") == NULL;
  ms_error_free(err);
  ms_client_free(client);
  ms_options_free(options);
  failures += ms_live_handles() != 0;
  printf("maxstorage %s, %d failures\n", ms_version(), failures);
  return failures != 0;
}
