// A read that is planned in one process and done in others, as distributed engines do it.
//
//     worker plan ENDPOINT PROJECT.SCHEMA.TABLE TOKEN-FILE    the coordinator: plans, writes the token, prints the number of splits
//     worker read ENDPOINT TOKEN-FILE SPLIT                   a worker: reads one split with exactly one request, prints its rows
//
// The token is a small file of bytes: it names the session and its columns, and holds no credentials. Each process brings its own,
// from the environment (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET).

#include <maxstorage.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// Every handle is freed by one function of the library; freeing NULL does nothing.
template <auto Free>
struct Freed {
    template <class T>
    void operator()(T *handle) const noexcept { Free(handle); }
};
template <class T, auto Free>
using Handle = std::unique_ptr<T, Freed<Free>>;

// Throws the failure of a call as one line: status, sentence, request id.
void check(ms_status status, ms_error *error) {
    if (status == MS_OK) return;
    std::string line = std::string(ms_status_name(status)) + ": " + ms_error_message(error);
    const std::string request_id = ms_error_request_id(error);
    if (!request_id.empty()) line += " (request id " + request_id + ")";
    ms_error_free(error);
    throw std::runtime_error(line);
}

// Calls a function whose last two parameters are the new handle and the error, and owns what it makes.
template <class T, auto Free, class Function, class... Arguments>
Handle<T, Free> make(Function function, Arguments... arguments) {
    T *handle = nullptr;
    ms_error *error = nullptr;
    const ms_status status = function(arguments..., &handle, &error);
    check(status, error);
    return Handle<T, Free>(handle);
}

Handle<ms_options, ms_options_free> options_for(const char *endpoint) {
    Handle<ms_options, ms_options_free> options(ms_options_new());
    ms_error *error = nullptr;
    check(ms_options_load_environment(options.get(), &error), error);
    check(ms_options_set(options.get(), MS_OPT_ENDPOINT, endpoint, &error), error);
    return options;
}

void plan(const char *endpoint, const char *table, const char *token_file) {
    const auto options = options_for(endpoint);
    ms_error *error = nullptr;
    check(ms_options_set(options.get(), MS_OPT_TABLE, table, &error), error);
    check(ms_options_set(options.get(), MS_OPT_SPLIT_MODE, "parallelism", &error), error);
    check(ms_options_set(options.get(), MS_OPT_SPLIT_PARALLELISM, "4", &error), error);
    const auto client = make<ms_client, ms_client_free>(ms_client_open, options.get());
    ms_session *opened = nullptr;
    check(ms_session_open(client.get(), options.get(), nullptr, &opened, &error), error);
    const Handle<ms_session, ms_session_free> session(opened);
    const auto token = make<ms_bytes, ms_bytes_free>(ms_session_serialize, session.get());
    std::ofstream file(token_file, std::ios::binary);
    file.write(static_cast<const char *>(ms_bytes_data(token.get())), static_cast<std::streamsize>(ms_bytes_len(token.get())));
    if (!file.flush()) throw std::runtime_error(std::string(token_file) + " cannot be written");
    std::printf("%lld splits\n", static_cast<long long>(ms_session_split_count(session.get())));
}

void read(const char *endpoint, const char *token_file, std::int64_t index) {
    std::ifstream file(token_file, std::ios::binary);
    const std::vector<char> token{std::istreambuf_iterator<char>(file), {}};
    if (!file) throw std::runtime_error(std::string(token_file) + " cannot be read");
    const auto options = options_for(endpoint);
    const auto client = make<ms_client, ms_client_free>(ms_client_open, options.get());
    const auto session = make<ms_session, ms_session_free>(ms_session_attach, client.get(), token.data(), token.size());
    const auto split = make<ms_split, ms_split_free>(ms_split_open, session.get(), index, options.get());
    std::int64_t rows = 0;
    for (;;) {
        ArrowArray batch;
        ms_error *error = nullptr;
        check(ms_split_next_batch(split.get(), &batch, &error), error);
        if (batch.release == nullptr) break;
        rows += batch.length;
        batch.release(&batch);
    }
    const auto metrics = make<ms_metrics, ms_metrics_free>(ms_split_metrics, split.get());
    std::int64_t requests = 0;
    for (std::size_t i = 0; i < ms_metrics_count(metrics.get()); i++)
        if (std::string(ms_metrics_name(metrics.get(), i)) == "requests") requests = ms_metrics_value(metrics.get(), i);
    std::printf("split %lld: %lld rows, %lld request%s\n", static_cast<long long>(index), static_cast<long long>(rows),
                static_cast<long long>(requests), requests == 1 ? "" : "s");
}

}  // namespace

int main(int argc, char **argv) {
    const std::string command = argc == 5 ? argv[1] : "";
    try {
        if (command == "plan") {
            plan(argv[2], argv[3], argv[4]);
        } else if (command == "read") {
            char *end = nullptr;
            const std::int64_t index = std::strtoll(argv[4], &end, 10);
            if (*end != '\0' || end == argv[4]) throw std::runtime_error(std::string(argv[4]) + " is not the number of a split");
            read(argv[2], argv[3], index);
        } else {
            std::fputs("usage: worker plan ENDPOINT PROJECT.SCHEMA.TABLE TOKEN-FILE\n"
                       "       worker read ENDPOINT TOKEN-FILE SPLIT\n", stderr);
            return 2;
        }
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "worker: %s\n", failure.what());
        return EXIT_FAILURE;
    }
    return std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
