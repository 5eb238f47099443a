// TPC-H query 6 over a MaxCompute table: the smallest program that does what an engine does.
//
//     select sum(l_extendedprice * l_discount) from lineitem
//     where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
//       and l_discount between 0.05 and 0.07 and l_quantity < 24
//
// It uses maxstorage.h, the Arrow C structures that header brings, and the standard library. From top to bottom:
//   1. handles   owning C++ pointers for the library's handles, and one way to report a failure
//   2. columns   typed, checked views of the Arrow arrays of a batch
//   3. the query the predicate as text for the service, and the same predicate and sum in exact integer arithmetic
//   4. the scan  one session, a queue of its splits, one thread per core
//   5. main      arguments, answer, figures
//
// The service may use the predicate to skip blocks and may still deliver rows that do not match, so the query is evaluated here
// in full. Credentials come from the environment (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET).

#include <maxstorage.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

// ---------------------------------------------------------------------------------------------------------------- 1. handles

// Every handle is freed by exactly one function of the library; freeing NULL does nothing and the order does not matter.
template <auto Free>
struct Freed {
    template <class T>
    void operator()(T *handle) const noexcept { Free(handle); }
};
using Options = std::unique_ptr<ms_options, Freed<ms_options_free>>;
using Client = std::unique_ptr<ms_client, Freed<ms_client_free>>;
using Session = std::unique_ptr<ms_session, Freed<ms_session_free>>;
using Split = std::unique_ptr<ms_split, Freed<ms_split_free>>;
using Metrics = std::unique_ptr<ms_metrics, Freed<ms_metrics_free>>;

// An Arrow structure is released through its own callback. The library empties an output before it fills it, so a structure that
// was handed to it is always safe to destroy.
template <class T>
struct Released : T {
    Released() : T{} {}
    Released(const Released &) = delete;
    Released &operator=(const Released &) = delete;
    ~Released() { reset(); }
    void reset() {
        if (this->release != nullptr) this->release(this);
    }
};
using Schema = Released<ArrowSchema>;
using Batch = Released<ArrowArray>;

// A failure as one line: the status for programs, the sentence for people, the request id for the service's support.
std::runtime_error failure(ms_status status, ms_error *error) {
    std::string line = std::string(ms_status_name(status)) + ": " + ms_error_message(error);
    const std::string request_id = ms_error_request_id(error);
    if (!request_id.empty()) line += " (request id " + request_id + ")";
    ms_error_free(error);
    return std::runtime_error(line);
}

// Calls a function of the library, whose last parameter is always `ms_error **`, and throws if it fails.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    ms_error *error = nullptr;
    if (const ms_status status = function(arguments..., &error); status != MS_OK) throw failure(status, error);
}

// The same for functions that open a handle: the output is the last parameter before the error.
template <class Owner, class Function, class... Arguments>
Owner open(Function function, Arguments... arguments) {
    typename Owner::pointer handle = nullptr;
    call(function, arguments..., &handle);
    return Owner(handle);
}

// ---------------------------------------------------------------------------------------------------------------- 2. columns

// What the query reads, in the order it asks for, and the Arrow format each column must have: decimals come as Decimal128 of the
// column's precision and scale, dates as days since 1970. A table of another type is refused instead of misread.
struct ColumnSpec {
    const char *name;
    const char *format;
};
constexpr std::array<ColumnSpec, 5> kColumns{{
    {"l_orderkey", "l"},
    {"l_quantity", "d:15,2"},
    {"l_extendedprice", "d:15,2"},
    {"l_discount", "d:15,2"},
    {"l_shipdate", "tdD"},
}};

void check_schema(const ArrowSchema &schema) {
    const auto refuse = [](const std::string &what) { return std::runtime_error("unexpected schema: " + what); };
    if (std::strcmp(schema.format, "+s") != 0) throw refuse("a batch is not a struct but '" + std::string(schema.format) + "'");
    if (schema.n_children != static_cast<int64_t>(kColumns.size()))
        throw refuse(std::to_string(schema.n_children) + " columns instead of " + std::to_string(kColumns.size()));
    for (size_t i = 0; i < kColumns.size(); ++i) {
        const ArrowSchema &column = *schema.children[i];
        if (std::strcmp(column.name, kColumns[i].name) != 0)
            throw refuse("column " + std::to_string(i) + " is '" + column.name + "' instead of '" + kColumns[i].name + "'");
        if (std::strcmp(column.format, kColumns[i].format) != 0)
            throw refuse(std::string(column.name) + " has format '" + column.format + "' instead of '" + kColumns[i].format + "'");
    }
}

// A column of fixed-width values: buffer 0 is the validity bitmap (absent when nothing is null), buffer 1 the values; both count
// from the array's offset.
class FixedWidth {
public:
    FixedWidth(const ArrowArray &array, size_t width) : offset_(array.offset), width_(width) {
        if (array.n_buffers != 2) throw std::runtime_error("a fixed-width column must have two buffers");
        if (array.null_count != 0) validity_ = static_cast<const uint8_t *>(array.buffers[0]);
        values_ = static_cast<const uint8_t *>(array.buffers[1]);
    }
    bool is_null(int64_t row) const {
        const int64_t bit = offset_ + row;
        return validity_ != nullptr && (validity_[bit / 8] >> (bit % 8) & 1) == 0;
    }

protected:
    template <class T>
    T load(int64_t row, size_t at = 0) const {
        T value;
        std::memcpy(&value, values_ + static_cast<size_t>(offset_ + row) * width_ + at, sizeof value);
        return value;
    }

private:
    int64_t offset_;
    size_t width_;
    const uint8_t *validity_ = nullptr;
    const uint8_t *values_ = nullptr;
};

struct Int64Column : FixedWidth {
    explicit Int64Column(const ArrowArray &array) : FixedWidth(array, sizeof(int64_t)) {}
    int64_t operator[](int64_t row) const { return load<int64_t>(row); }
};

struct Date32Column : FixedWidth {
    explicit Date32Column(const ArrowArray &array) : FixedWidth(array, sizeof(int32_t)) {}
    int32_t operator[](int64_t row) const { return load<int32_t>(row); }
};

// Fifteen digits fit into the low half of a Decimal128; the high half must then repeat the sign.
struct DecimalColumn : FixedWidth {
    explicit DecimalColumn(const ArrowArray &array) : FixedWidth(array, 16) {}
    int64_t operator[](int64_t row) const {
        const auto low = load<int64_t>(row);
        if (load<int64_t>(row, 8) != (low < 0 ? -1 : 0)) throw std::runtime_error("a decimal(15,2) value has more than 64 bits");
        return low;
    }
};

// -------------------------------------------------------------------------------------------------------------- 3. the query

constexpr const char *kPredicate =
    "`l_shipdate` >= DATE'1994-01-01' and `l_shipdate` < DATE'1995-01-01'"
    " and `l_discount` >= 0.05 and `l_discount` <= 0.07 and `l_quantity` < 24";

// The same bounds as integers: days since 1970 for dates, hundredths for decimal(15,2).
constexpr int32_t kShipDateFrom = 8766;   // 1994-01-01
constexpr int32_t kShipDateUntil = 9131;  // 1995-01-01
constexpr int64_t kDiscountFrom = 5;      // 0.05
constexpr int64_t kDiscountTo = 7;        // 0.07
constexpr int64_t kQuantityBelow = 2400;  // 24.00

struct Answer {
    int64_t revenue = 0;    // ten-thousandths: a product of two numbers with two decimals has four
    int64_t matching = 0;   // rows that satisfy the predicate
    uint64_t checksum = 0;  // sum of l_orderkey over them, modulo 2^64: a lost or doubled row changes it
    int64_t rows = 0;       // rows read

    void add(const Answer &other) {
        add_revenue(other.revenue);
        matching += other.matching;
        checksum += other.checksum;
        rows += other.rows;
    }
    void add_revenue(int64_t amount) {
        // Both are below 10^16 for any valid column, so only the sum can overflow, and never for tables of this world.
        if (__builtin_add_overflow(revenue, amount, &revenue)) throw std::runtime_error("the revenue does not fit into 64 bits");
    }
};

Answer evaluate(const ArrowArray &batch) {
    if (batch.n_children != static_cast<int64_t>(kColumns.size()) || batch.offset != 0)
        throw std::runtime_error("a batch does not have the shape of its schema");
    const Int64Column order_key(*batch.children[0]);
    const DecimalColumn quantity(*batch.children[1]), price(*batch.children[2]), discount(*batch.children[3]);
    const Date32Column ship_date(*batch.children[4]);

    Answer answer;
    answer.rows = batch.length;
    for (int64_t row = 0; row < batch.length; ++row) {
        // A comparison with NULL is not true, and a NULL price adds nothing to a sum.
        if (ship_date.is_null(row) || ship_date[row] < kShipDateFrom || ship_date[row] >= kShipDateUntil) continue;
        if (discount.is_null(row) || discount[row] < kDiscountFrom || discount[row] > kDiscountTo) continue;
        if (quantity.is_null(row) || quantity[row] >= kQuantityBelow) continue;
        answer.matching += 1;
        if (!order_key.is_null(row)) answer.checksum += static_cast<uint64_t>(order_key[row]);
        if (!price.is_null(row)) answer.add_revenue(price[row] * discount[row]);
    }
    return answer;
}

// Decimal text with two places, rounded half away from zero: what SQL prints for decimal(…,4) cast to decimal(…,2).
std::string money(int64_t ten_thousandths) {
    const bool negative = ten_thousandths < 0;
    const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(ten_thousandths) : static_cast<uint64_t>(ten_thousandths);
    const uint64_t cents = (magnitude + 50) / 100;
    char text[32];
    std::snprintf(text, sizeof text, "%s%llu.%02llu", negative && cents != 0 ? "-" : "",
                  static_cast<unsigned long long>(cents / 100), static_cast<unsigned long long>(cents % 100));
    return text;
}

// --------------------------------------------------------------------------------------------------------------- 4. the scan

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One planned read. The session is shared by all threads; each split is read by one thread at a time. Threads take the next
// unread split from a counter until none is left; the first failure stops all of them.
class Scan {
public:
    Scan(const ms_session *session, const ms_options *options) : session_(session), options_(options) {
        Schema schema;
        call(ms_session_schema, session_, static_cast<ArrowSchema *>(&schema));
        check_schema(schema);
    }

    Answer run(unsigned threads) {
        std::vector<std::thread> workers;
        std::thread reporter([this] { report(); });
        try {
            for (unsigned i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
        } catch (...) {  // the system has no thread left: those that run are joined below, then the failure is told
            stop_ = true;
            const std::lock_guard lock(mutex_);
            if (!failed_) failed_ = std::current_exception();
        }
        for (std::thread &worker : workers) worker.join();
        {
            const std::lock_guard lock(mutex_);
            done_ = true;
        }
        finished_.notify_all();
        reporter.join();
        if (failed_) std::rethrow_exception(failed_);
        return total_;
    }

    int64_t bytes() const { return bytes_; }

private:
    void work() {
        try {
            Answer mine;
            for (int64_t index; !stop_ && (index = next_split_++) < ms_session_split_count(session_);) read(index, mine);
            const std::lock_guard lock(mutex_);
            total_.add(mine);
        } catch (...) {
            stop_ = true;
            const std::lock_guard lock(mutex_);
            if (!failed_) failed_ = std::current_exception();
        }
    }

    void read(int64_t index, Answer &answer) {
        const Split split = open<Split>(ms_split_open, session_, index, options_);
        while (!stop_) {
            Batch batch;
            call(ms_split_next_batch, split.get(), static_cast<ArrowArray *>(&batch));
            if (batch.release == nullptr) break;  // the end of the data, seen as such by the library: nothing was cut off
            const Answer part = evaluate(batch);
            answer.add(part);
            rows_ += part.rows;
        }
        bytes_ += received(split.get());
        splits_done_ += 1;
    }

    // The bytes of one split that crossed the network, from the library's own counters.
    static int64_t received(const ms_split *split) {
        const Metrics metrics = open<Metrics>(ms_split_metrics, split);
        for (size_t i = 0; i < ms_metrics_count(metrics.get()); ++i)
            if (std::strcmp(ms_metrics_name(metrics.get(), i), "bytes_wire") == 0) return ms_metrics_value(metrics.get(), i);
        return 0;
    }

    // The progress line on stderr: rewritten five times a second on a terminal, one line a second elsewhere.
    void report() {
        const bool terminal = isatty(STDERR_FILENO) != 0;
        const auto interval = std::chrono::milliseconds(terminal ? 200 : 1000);
        const Clock::time_point start = Clock::now();
        std::unique_lock lock(mutex_);
        while (!finished_.wait_for(lock, interval, [this] { return done_; })) print_progress(start, terminal ? "\r" : "\n");
        print_progress(start, "\n");
    }
    void print_progress(Clock::time_point start, const char *end) const {
        std::fprintf(stderr, "reading: %lld of %lld splits, %lld rows, %.1f s%s", static_cast<long long>(splits_done_),
                     static_cast<long long>(ms_session_split_count(session_)), static_cast<long long>(rows_),
                     seconds_since(start), end);
        std::fflush(stderr);
    }

    const ms_session *session_;
    const ms_options *options_;
    std::atomic<int64_t> next_split_{0}, splits_done_{0}, rows_{0}, bytes_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;  // guards what follows
    std::condition_variable finished_;
    bool done_ = false;
    Answer total_;
    std::exception_ptr failed_;
};

// ------------------------------------------------------------------------------------------------------------------- 5. main

struct Arguments {
    std::string endpoint, project, expect;
    std::vector<std::pair<std::string, std::string>> settings;
    unsigned threads = std::max(1u, std::thread::hardware_concurrency());
};

constexpr const char *kUsage =
    "usage: tpch_q6 ENDPOINT PROJECT [--expect REVENUE] [--threads N] [--set KEY=VALUE]...\n"
    "\n"
    "Computes TPC-H query 6 on PROJECT.default.lineitem. With --expect, fails unless the revenue is REVENUE\n"
    "(123141078.23 for scale 1). --set passes any option of the library, for example read.compression=lz4.\n";

std::optional<Arguments> parse(int argc, char **argv) {
    Arguments arguments;
    std::vector<std::string> positional;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool takes_value = word == "--expect" || word == "--threads" || word == "--set";
        if (takes_value && ++i == argc) return std::nullopt;
        if (word == "--expect") {
            arguments.expect = argv[i];
        } else if (word == "--threads") {
            char *end = nullptr;
            const long threads = std::strtol(argv[i], &end, 10);
            if (*end != '\0' || threads < 1 || threads > 1024) return std::nullopt;
            arguments.threads = static_cast<unsigned>(threads);
        } else if (word == "--set") {
            const std::string setting = argv[i];
            const size_t equals = setting.find('=');
            if (equals == std::string::npos) return std::nullopt;
            arguments.settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
        } else if (word.rfind("--", 0) == 0) {
            return std::nullopt;
        } else {
            positional.push_back(word);
        }
    }
    if (positional.size() != 2) return std::nullopt;
    arguments.endpoint = positional[0];
    arguments.project = positional[1];
    return arguments;
}

int run(const Arguments &arguments) {
    // One options object serves client, session and splits: each reads its own keys.
    const Options owned_options(ms_options_new());
    ms_options *const options = owned_options.get();
    const auto set = [&](const char *key, const std::string &value) { call(ms_options_set, options, key, value.c_str()); };
    call(ms_options_load_environment, options);
    set(MS_OPT_ENDPOINT, arguments.endpoint);
    set(MS_OPT_TABLE, arguments.project + ".default.lineitem");
    for (const ColumnSpec &column : kColumns) call(ms_options_add, options, MS_OPT_COLUMNS, column.name);
    set(MS_OPT_FILTER_TEXT, kPredicate);
    set(MS_OPT_SPLIT_MODE, "size");
    set(MS_OPT_SPLIT_SIZE_BYTES, std::to_string(16 << 20));
    for (const auto &[key, value] : arguments.settings) set(key.c_str(), value);

    const Clock::time_point start = Clock::now();
    const Client client = open<Client>(ms_client_open, static_cast<const ms_options *>(options));
    const Session session = open<Session>(ms_session_open, static_cast<const ms_client *>(client.get()),
                                          static_cast<const ms_options *>(options), static_cast<const ms_predicate *>(nullptr));
    std::fprintf(stderr, "planned: %lld splits in %.2f s, %u threads\n",
                 static_cast<long long>(ms_session_split_count(session.get())), seconds_since(start), arguments.threads);

    Scan scan(session.get(), options);
    const Answer answer = scan.run(arguments.threads);
    const double seconds = seconds_since(start);

    const std::string revenue = money(answer.revenue);
    std::printf("revenue   %s\n", revenue.c_str());
    std::printf("matching  %lld rows (checksum of l_orderkey %llu)\n", static_cast<long long>(answer.matching),
                static_cast<unsigned long long>(answer.checksum));
    std::printf("read      %lld rows, %lld bytes in %.2f s: %.0f MB/s\n", static_cast<long long>(answer.rows),
                static_cast<long long>(scan.bytes()), seconds, static_cast<double>(scan.bytes()) / 1e6 / seconds);
    if (!arguments.expect.empty() && arguments.expect != revenue)
        throw std::runtime_error("the revenue is " + revenue + ", expected " + arguments.expect);
    if (!arguments.expect.empty()) std::printf("correct   the revenue is the expected one\n");
    if (std::fflush(stdout) != 0) throw std::runtime_error("the answer cannot be written to stdout");
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char **argv) {
    const std::optional<Arguments> arguments = parse(argc, argv);
    if (!arguments) {
        std::fputs(kUsage, stderr);
        return 2;
    }
    try {
        return run(*arguments);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "tpch_q6: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
