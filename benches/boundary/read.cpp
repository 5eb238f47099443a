// C++ over maxstorage.hpp: `read ENDPOINT TOKEN-FILE TIMES` takes every batch of every split and releases it; prints the rows as JSON.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <maxstorage.hpp>
#include <maxstorage/exceptions.hpp>
#include <string>

namespace ms = maxstorage;

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    ms::options options;
    options.endpoint(argv[1]).credentials("local", "local");
    std::ifstream file(argv[2], std::ios::binary);
    const std::string token{std::istreambuf_iterator<char>(file), {}};
    const ms::client client = ms::or_throw(ms::client::open(options));
    const ms::session session = ms::or_throw(client.attach(token));
    int64_t rows = 0;
    for (int time = 0; time < std::atoi(argv[3]); time++)
        for (int64_t index = 0; index < session.split_count(); index++) {
            ms::split split = ms::or_throw(session.open_split(index, options));
            for (auto &batch : split.batches()) {
                if (!batch) throw ms::exception(batch.error());
                rows += batch->rows();
            }
        }
    std::printf("{\"rows\": %lld}\n", static_cast<long long>(rows));
}
