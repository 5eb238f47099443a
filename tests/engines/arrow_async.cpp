// Arrow C++ consumes the asynchronous stream of a scan: `arrow_async ENDPOINT TABLE COLUMN` prints how many rows came and the sum of a
// whole column. The handler is Arrow's own, which asks for a few batches ahead and takes them on its threads.
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/compute/api.h>
#include <arrow/util/thread_pool.h>

#include <cstdio>
#include <cstdlib>
#include <maxstorage.hpp>
#include <maxstorage/exceptions.hpp>
#include <utility>

namespace ms = maxstorage;

static arrow::Status consume(const char *endpoint, const char *table, const char *column) {
    ms::options options;
    options.load_environment().endpoint(endpoint).table(table).set(MS_OPT_COLUMNS, column);
    const ms::client client = ms::or_throw(ms::client::open(options));
    const ms::session session = ms::or_throw(client.open_session(options));
    static ArrowAsyncDeviceStreamHandler handler;  // it is released a little later than the end is known here
    auto stream = arrow::CreateAsyncDeviceStreamHandler(&handler, arrow::internal::GetCpuThreadPool(), 3);
    ms::or_throw(ms::or_throw(session.open_scan(options)).export_async(&handler));
    ARROW_ASSIGN_OR_RAISE(auto batches, stream.result());
    int64_t rows = 0, sum = 0;
    for (;;) {
        const auto coming = batches.generator();
        ARROW_ASSIGN_OR_RAISE(const auto next, coming.result());
        if (next.batch == nullptr) break;
        ARROW_RETURN_NOT_OK(next.batch->ValidateFull());
        ARROW_ASSIGN_OR_RAISE(const arrow::Datum total, arrow::compute::Sum(next.batch->column(0)));
        sum += total.scalar_as<arrow::Int64Scalar>().value;
        rows += next.batch->num_rows();
    }
    std::printf("%lld %lld\n", static_cast<long long>(rows), static_cast<long long>(sum));
    return arrow::Status::OK();
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    try {
        arrow::Status done = arrow::compute::Initialize();
        if (done.ok()) done = consume(arguments[1], arguments[2], arguments[3]);
        if (!done.ok()) std::fprintf(stderr, "arrow_async: %s\n", done.ToString().c_str());
        return done.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const ms::exception &failure) {
        std::fprintf(stderr, "arrow_async: %s\n", failure.what());
        return EXIT_FAILURE;
    }
}
