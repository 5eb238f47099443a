// No buffer is copied on the way into Acero: `acero_addresses ENDPOINT TABLE`. The buffers of every batch that leaves Acero's source
// node lie where the library delivered them.
#include <arrow/acero/api.h>
#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <maxstorage.hpp>
#include <maxstorage/adapters/arrow_reader.hpp>
#include <maxstorage/exceptions.hpp>
#include <memory>
#include <set>
#include <utility>

namespace ac = arrow::acero;
namespace ms = maxstorage;

// The buffers that the library delivered, by address, since the start. A batch's memory may be used again after its release, so the
// addresses are compared while the batch is held.
static std::set<const void *> delivered;

static void remember(const ArrowArray &array) {
    for (int64_t i = 0; i < array.n_buffers; i++)
        if (array.buffers[i] != nullptr) delivered.insert(array.buffers[i]);
    for (int64_t i = 0; i < array.n_children; i++) remember(*array.children[i]);
}

// A scan whose stream writes down what it hands out.
struct recorder {
    ms::scan scan;
    ms::result<ms::stream> into_stream() && {
        auto inner = std::make_unique<ms::stream>(ms::or_throw(std::move(scan).into_stream()));
        ArrowArrayStream outer{};
        outer.get_schema = [](ArrowArrayStream *self, ArrowSchema *out) { return of(self)->get_schema(of(self), out); };
        outer.get_next = [](ArrowArrayStream *self, ArrowArray *out) {
            const int status = of(self)->get_next(of(self), out);
            if (status == 0 && out->release != nullptr) remember(*out);
            return status;
        };
        outer.get_last_error = [](ArrowArrayStream *self) { return of(self)->get_last_error(of(self)); };
        outer.release = [](ArrowArrayStream *self) {
            delete static_cast<ms::stream *>(self->private_data);
            self->release = nullptr;
        };
        outer.private_data = inner.release();
        return ms::stream(std::move(outer));
    }
    static ArrowArrayStream *of(ArrowArrayStream *self) { return static_cast<ms::stream *>(self->private_data)->get(); }
};

static arrow::Status check(const char *endpoint, const char *table) {
    ms::options options;
    options.load_environment().endpoint(endpoint).table(table);
    const ms::client client = ms::or_throw(ms::client::open(options));
    const ms::session session = ms::or_throw(client.open_session(options));
    ARROW_ASSIGN_OR_RAISE(auto reader, ms::to_arrow(recorder{ms::or_throw(session.open_scan(options))}));
    ac::Declaration source("record_batch_reader_source", ac::RecordBatchReaderSourceNodeOptions(std::move(reader)));
    ARROW_ASSIGN_OR_RAISE(const auto batches, ac::DeclarationToBatches(std::move(source)));
    int64_t rows = 0, seen = 0;
    for (const auto &batch : batches) {  // all of them are held, so no address was used twice
        rows += batch->num_rows();
        for (const auto &column : batch->columns())
            for (const auto &buffer : column->data()->buffers) {
                if (buffer == nullptr || buffer->data() == nullptr) continue;
                if (delivered.count(buffer->data()) == 0) return arrow::Status::Invalid("a buffer of ", column->type()->ToString(), " was copied");
                seen++;
            }
    }
    std::printf("%lld rows, %lld buffers where they were delivered\n", static_cast<long long>(rows), static_cast<long long>(seen));
    return rows > 0 && seen > 0 ? arrow::Status::OK() : arrow::Status::Invalid("there was nothing to compare");
}

int main(int argc, char **argv) {
    if (argc != 3) return std::fputs("usage: acero_addresses ENDPOINT TABLE\n", stderr), 2;
    const arrow::Status done = check(argv[1], argv[2]);
    if (!done.ok()) return std::fprintf(stderr, "acero_addresses: %s\n", done.ToString().c_str()), 1;
    return 0;
}
