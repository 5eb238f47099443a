// Counts the rows of a table: the quick start of docs/cpp.md.
#include <maxstorage.hpp>

#include <cstdio>

namespace ms = maxstorage;

static ms::result<int64_t> count(const char *endpoint, const char *table) {
    ms::options options;
    options.load_environment().endpoint(endpoint).table(table);  // ALIBABA_CLOUD_ACCESS_KEY_ID and ..._SECRET
    auto client = ms::client::open(options);
    if (!client) return client.error();
    auto session = client->open_session(options);
    if (!session) return session.error();
    auto scan = session->open_scan(options);
    if (!scan) return scan.error();
    int64_t rows = 0;
    for (auto &next : scan->batches()) {
        if (!next) return next.error();
        rows += next->rows();
    }
    return rows;
}

int main(int argc, char **argv) {
    if (argc != 3) return std::fputs("usage: hello ENDPOINT PROJECT.SCHEMA.TABLE\n", stderr), 2;
    const auto rows = count(argv[1], argv[2]);
    if (!rows) return std::fprintf(stderr, "hello: %s\n", rows.error().to_string().c_str()), 1;
    return std::printf("%lld rows\n", static_cast<long long>(*rows)), 0;
}
