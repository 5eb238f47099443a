#include <maxstorage.h>
#include <stdio.h>
#define TRY(call) if ((call) != MS_OK) return fprintf(stderr, "%s: %s\n", ms_status_name(ms_error_code(err)), ms_error_message(err)), 1
int main(int argc, char **argv) { /* counts the rows of a table */
    ms_error *err = NULL;
    ms_client *client = NULL;
    ms_session *session = NULL;
    ms_split *split = NULL;
    ms_options *options = ms_options_new();
    long long rows = 0;
    if (argc != 3) return fputs("usage: hello ENDPOINT PROJECT.SCHEMA.TABLE\n", stderr), 2;
    TRY(ms_options_load_environment(options, &err)); /* ALIBABA_CLOUD_ACCESS_KEY_ID and ..._SECRET */
    TRY(ms_options_set(options, MS_OPT_ENDPOINT, argv[1], &err));
    TRY(ms_options_set(options, MS_OPT_TABLE, argv[2], &err));
    TRY(ms_client_open(options, &client, &err));
    TRY(ms_session_open(client, options, NULL, &session, &err));
    for (int64_t i = 0; i < ms_session_split_count(session); i++, ms_split_free(split)) {
        TRY(ms_split_open(session, i, options, &split, &err));
        for (struct ArrowArray batch;; rows += batch.length, batch.release(&batch)) {
            TRY(ms_split_next_batch(split, &batch, &err));
            if (batch.release == NULL) break; /* end of data */
        }
    }
    return printf("%lld rows\n", rows), ms_session_free(session), ms_client_free(client), ms_options_free(options), 0;
}
