// The scenarios of ../scenarios.txt in C++17, over maxstorage.hpp.
#include <maxstorage.hpp>
#include <maxstorage/adapters/async_split.hpp>
#include <maxstorage/exceptions.hpp>

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ms = maxstorage;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr int64_t kLineitemRows = 60175, kOrderkeys = 1802759573, kRampRows = 4000;
int passed, failed, failures_here;

void check(bool holds, const std::string &what, int line) {
    if (holds) return;
    std::printf("  conformance.cpp:%d: %s\n", line, what.c_str());
    failures_here++;
}
#define CHECK(condition) check((condition), "not true: " #condition, __LINE__)
#define CHECK_CODE(failure, expected) \
    check((failure).code() == (expected), "expected " #expected ", got " + (failure).to_string(), __LINE__)

template <class Body>
void scenario(const char *name, Body body) {
    failures_here = 0;
    try {
        body();
    } catch (const std::exception &failure) {
        check(false, failure.what(), __LINE__);
    }
    if (ms_live_handles() != 0) check(false, std::to_string(ms_live_handles()) + " handles are alive", __LINE__);
    (failures_here == 0 ? passed : failed)++;
    std::printf("%s %s\n", failures_here == 0 ? "ok    " : "FAILED", name);
    std::fflush(stdout);
}

ms::options options_for(const char *table = nullptr) {
    const char *endpoint = std::getenv("MS_TEST_ENDPOINT");
    if (endpoint == nullptr) throw std::runtime_error("MS_TEST_ENDPOINT is not set: run this through tests/conformance/run");
    ms::options options;
    options.endpoint(endpoint).credentials("local", "local").project("local").set(MS_OPT_RETRY_INITIAL_BACKOFF_MS, 20);
    if (table != nullptr) options.table(table);
    return options;
}

ms::session open(const ms::options &options) { return ms::or_throw(ms::or_throw(ms::client::open(options)).open_session(options)); }

struct tally {
    int64_t rows = 0, sum = 0, longest = 0, batches = 0;
    void add(const ms::batch &batch) {
        rows += batch.rows();
        batches++;
        longest = std::max(longest, batch.rows());
        if (const auto *values = batch.values<int64_t>(0))
            for (int64_t i = 0; i < batch.rows(); i++) sum += values[i];
    }
    bool is_lineitem() const { return rows == kLineitemRows && sum == kOrderkeys; }
};

template <class Reader>
void drain(Reader &reader, tally &into) {
    for (auto &next : reader.batches()) into.add(ms::or_throw(std::move(next)));
}

tally read_all(const ms::session &session, const ms::options &options) {
    tally all;
    for (int64_t i = 0; i < session.split_count(); i++) {
        ms::split split = ms::or_throw(session.open_split(i, options));
        drain(split, all);
    }
    return all;
}

tally read(const ms::options &options) { return read_all(open(options), options); }

/// What a read fails with, wherever it does.
ms::error failure_of(const ms::options &options) {
    try {
        read(options);
    } catch (const ms::exception &failure) {
        return failure.error();
    }
    return {};
}

ms::options lineitem() {
    ms::options options = options_for("lineitem");
    options.columns({"l_orderkey"});
    return options;
}

tally read_one_split(const char *table, const char *metric, int64_t &value) {
    ms::options options = options_for(table);
    const ms::session session = open(options.split_by_count(1));
    ms::split split = ms::or_throw(session.open_split(0));
    tally all;
    drain(split, all);
    value = ms::or_throw(split.metrics())[metric];
    return all;
}

// --------------------------------------------------------------------------------------------------------------------- reading

void reading() {
    scenario("versions", [] {
        CHECK(ms::abi_matches() && std::string(ms::version()) == MS_VERSION);
        CHECK(std::string(ms::build_info()).find(ms::version()) != std::string::npos);
        CHECK(ms::has_features(MS_FEATURE_SCANS | MS_FEATURE_PROTOCOL_2) && !ms::has_features(MS_FEATURE_SCANS | uint64_t{1} << 63));
    });
    scenario("read_all_rows", [] { CHECK(read(lineitem()).is_lineitem()); });
    scenario("split_by_count", [] { CHECK(read(lineitem().split_by_count(8).clone()).is_lineitem()); });
    scenario("split_by_rows", [] {
        ms::options options = lineitem();
        const ms::session session = open(options.split_by_rows(2500));
        CHECK(session.split_count() == 25);
        tally all;
        for (int64_t i = 0; i < session.split_count(); i++) {
            ms::split split = ms::or_throw(session.open_split(i));
            const int64_t before = all.rows;
            drain(split, all);
            CHECK(all.rows - before <= 2500);
        }
        CHECK(all.is_lineitem());
    });
    scenario("split_by_bucket", [] {
        ms::options options = options_for("clustered");
        const ms::session session = open(options.split_by_bucket());
        CHECK(session.split_count() == 8);
        const tally all = read_all(session, options);
        CHECK(all.rows == 100 && all.sum == 4950);
    });
    scenario("projection", [] {
        ms::options options = options_for("nation");
        const ms::schema schema = ms::or_throw(open(options.columns({"n_name", "n_nationkey"})).schema());
        CHECK(schema.columns() == 2 && schema.find("n_name") == 0 && schema.find("n_nationkey") == 1);
        const std::vector<std::string> names{"n_nationkey"};  // as an engine has them
        ms::options projected = options_for("nation");
        CHECK(ms::or_throw(open(projected.columns(names)).schema()).columns() == 1);
    });
    scenario("partitions", [] {
        ms::options options = options_for("parted");
        const ms::session session = open(options.partitions({"ds=20260101"}));
        const ms::schema schema = ms::or_throw(session.schema());
        CHECK(schema.columns() == 4 && schema.find("ds") == 2 && schema.find("region") == 3);
        const tally all = read_all(session, options);
        CHECK(all.rows == 2000 && all.sum == 2 * 499500);
    });
    scenario("splits_while_planning", [] {
        ms::options options = options_for("parted");
        options.set("plan.wait", "first").set("plan.partitions_per_session", 1).partitions({"ds=20260101", "ds=20260102"});
        const ms::session session = open(options);
        const ms::client worker = ms::or_throw(ms::client::open(options_for()));
        tally all;
        ms::known_splits known;
        while (!known.complete) {
            const int64_t before = known.count;
            known = ms::or_throw(session.more_splits(known.count, ms::canceller()));
            for (int64_t index = before; index < known.count; index++) {
                const ms::session attached = ms::or_throw(worker.attach(ms::or_throw(session.serialize_split(index, index % 2 == 1))));
                ms::split split = ms::or_throw(attached.open_split(index));
                drain(split, all);
            }
        }
        CHECK(all.rows == 4000 && all.sum == 2 * 499500 + 1999000);
        CHECK(ms::or_throw(session.try_more_splits(known.count))->complete && session.split_count() == known.count);
        CHECK(ms::or_throw(session.more_splits(-1)).complete);
        CHECK(ms::or_throw(session.more_splits_until(known.count, std::chrono::steady_clock::now())).complete);
    });
    scenario("every_type", [] {
        const std::vector<std::string> formats = {"c", "s", "i", "l", "f", "g", "b", "u", "u", "u", "z", "d:15,2", "d:38,0", "d:38,18", "tdD",
                                                  "tsm:UTC", "tsn:UTC", "tsn:", "tiM", "tiD", "+l", "+m", "+s", "+l"};
        const ms::session session = open(options_for("all_types"));
        const ms::schema schema = ms::or_throw(session.schema());
        CHECK(schema.columns() == static_cast<int64_t>(formats.size()));
        for (int64_t i = 0; i < schema.columns(); i++) CHECK(schema.format(i) == formats[static_cast<size_t>(i)]);
        ms::split split = ms::or_throw(session.open_split(0));
        const auto batch = ms::or_throw(split.next());
        CHECK(batch && batch->rows() == 4);
        for (int64_t i = 0; batch && i < batch->columns(); i++)
            for (int64_t row = 0; row < 4; row++) CHECK(batch->is_null(i, row) == (row == 2));
    });
    scenario("large_offsets", [] {
        const std::vector<std::string> formats = {"U", "Z", "+L", "+m", "+s"};
        ms::options options = options_for("all_types");
        options.columns({"c_string", "c_binary", "c_array", "c_map", "c_struct"}).set(MS_OPT_TYPES_LARGE_OFFSETS, true);
        const ms::session session = open(options);
        const ms::schema schema = ms::or_throw(session.schema());
        CHECK(schema.columns() == static_cast<int64_t>(formats.size()));
        for (int64_t i = 0; i < schema.columns(); i++) CHECK(schema.format(i) == formats[static_cast<size_t>(i)]);
        ms::split split = ms::or_throw(session.open_split(0));
        const auto batch = ms::or_throw(split.next());
        CHECK(batch && batch->rows() == 4);
        if (!batch) return;
        const ArrowArray &texts = batch->column(0);
        const auto *offsets = static_cast<const int64_t *>(texts.buffers[1]);
        const std::string all(static_cast<const char *>(texts.buffers[2]) + offsets[0], static_cast<size_t>(offsets[4] - offsets[0]));
        CHECK(all == "plainGr\u00f6\u00dfe \u6570\u636e \U0001F980");
        const auto *lists = static_cast<const int64_t *>(batch->column(2).buffers[1]);
        CHECK(lists[4] - lists[0] == 3 + 1);
    });
    scenario("dictionaries", [] {
        int64_t texts = 0;
        const auto urgent = [&texts](const char *column) {
            ms::options options = options_for("orders");
            options.columns({"o_orderkey", "o_orderpriority"}).add(MS_OPT_TYPES_DICTIONARY, column);
            const ms::session session = open(options);
            const ms::schema schema = ms::or_throw(session.schema());
            const ArrowSchema *keyed = schema->children[1]->dictionary;
            CHECK(std::string(schema.format(1)) == "i" && keyed != nullptr && std::string(keyed->format) == "u");
            ms::stream stream = ms::or_throw(ms::or_throw(session.open_scan()).into_stream());
            int64_t rows = 0, found = 0;
            for (ms::batch batch; stream->get_next(stream.get(), batch.out()) == 0 && batch; rows += batch.rows()) {
                const ArrowArray &dictionary = *batch.column(1).dictionary;
                texts = std::max(texts, dictionary.length);
                const auto *ends = static_cast<const int32_t *>(dictionary.buffers[1]) + dictionary.offset;
                const auto *bytes = static_cast<const char *>(dictionary.buffers[2]);
                const int32_t *keys = batch.values<int32_t>(1);
                for (int64_t i = 0; i < batch.rows(); i++)
                    found += std::string(bytes + ends[keys[i]], static_cast<size_t>(ends[keys[i] + 1] - ends[keys[i]])) == "1-URGENT";
            }
            CHECK(rows == 15000);
            return found;
        };
        const int64_t found = urgent("o_orderpriority");
        CHECK(found > 2000 && found == urgent("*") && texts == 5);
        ms::options wrong = options_for("orders");
        wrong.add(MS_OPT_TYPES_DICTIONARY, "o_orderkey");
        CHECK_CODE(ms::or_throw(ms::client::open(wrong)).open_session(wrong).error(), MS_INVALID_OPTION);
    });
    scenario("time_zone", [] {
        std::vector<std::vector<int64_t>> values;
        for (const char *zone : {"UTC", "Asia/Shanghai"}) {
            ms::options options = options_for("all_types");
            options.columns({"c_datetime", "c_timestamp", "c_timestamp_ntz"}).set(MS_OPT_TYPES_TIME_ZONE, zone);
            const ms::session session = open(options);
            const ms::schema schema = ms::or_throw(session.schema());
            CHECK(schema.format(0) == std::string("tsm:") + zone && schema.format(1) == std::string("tsn:") + zone && schema.format(2) == std::string("tsn:"));
            ms::split split = ms::or_throw(session.open_split(0));
            const auto batch = ms::or_throw(split.next());
            CHECK(batch && batch->rows() == 4);
            for (int64_t i = 0; batch && i < 3; i++) values.emplace_back(batch->values<int64_t>(i), batch->values<int64_t>(i) + 4);
        }
        for (size_t i = 0; i < 3; i++) CHECK(values[i] == values[i + 3]);
    });
    scenario("lz4", [] { CHECK(read(lineitem().compress(ms::compression::lz4).clone()).is_lineitem()); });
    scenario("zstd", [] { CHECK(read(lineitem().compress(ms::compression::zstd).clone()).is_lineitem()); });
    scenario("batch_rows", [] {
        ms::options options = options_for("orders");
        const tally all = read(options.columns({"o_orderkey"}).set(MS_OPT_READ_BATCH_ROWS, 100));
        CHECK(all.rows == 15000 && all.longest <= 100);
        const ms::session session = open(options_for("orders").columns({"o_orderkey"}).split_by_count(1));
        ms::split split = ms::or_throw(session.open_split(0));
        const ms::scan scan = ms::or_throw(session.open_scan());
        const auto limited = [](auto &reader, int64_t rows, int64_t bytes) {
            ms::or_throw(reader.set_batch_limits(rows, bytes));
            return (*ms::or_throw(reader.next()))->length;
        };
        CHECK(limited(split, 5, 0) == 5 && limited(split, 2, 0) == 2 && limited(split, 0, 80) <= 10 && limited(split, 0, 0) > 100);
        CHECK(limited(scan, 5, 0) == 5 && limited(scan, 2, 0) == 2 && limited(scan, 0, 80) <= 10 && limited(scan, 0, 0) > 100);
        CHECK(split.set_batch_limits(-1).error().code() == MS_INVALID_ARGUMENT);
    });
    scenario("row_range", [] {
        ms::options options = options_for("ramp");
        const ms::session session = open(options.split_by_count(1));
        ms::options read;
        ms::split split = ms::or_throw(session.open_split(0, read.set(MS_OPT_READ_START_ROW, 1000).set(MS_OPT_READ_ROW_COUNT, 500)));
        tally some;
        drain(split, some);
        CHECK(some.rows == 500 && some.sum == 500 * (1000 + 1499) / 2 && split.rows_delivered() == 500);
    });
    scenario("protocol_2", [] { CHECK(read(lineitem().set(MS_OPT_PROTOCOL, 2).clone()).is_lineitem()); });
    scenario("empty_table", [] {
        const tally all = read(options_for("empty"));
        CHECK(all.rows == 0 && all.batches == 0);
    });
    scenario("token", [] {
        const std::string token = ms::or_throw(open(lineitem()).serialize());
        const ms::client other = ms::or_throw(ms::client::open(options_for()));
        CHECK(read_all(ms::or_throw(other.attach(token)), options_for()).is_lineitem());
    });
    scenario("json_token", [] {
        std::string token = ms::or_throw(open(lineitem()).serialize_json());
        const ms::client other = ms::or_throw(ms::client::open(options_for()));
        CHECK(read_all(ms::or_throw(other.attach("{\n \"@type\" : \"split\" , " + token.substr(1))), options_for()).is_lineitem());
        token.replace(token.find("lineitem"), 8, "lineitex");
        CHECK_CODE(other.attach(token).error(), MS_INVALID_ARGUMENT);
    });
    scenario("damaged_token", [] {
        std::string token = ms::or_throw(open(options_for("nation")).serialize());
        token[token.size() / 2] ^= 1;
        const ms::client client = ms::or_throw(ms::client::open(options_for()));
        CHECK_CODE(client.attach(token).error(), MS_INVALID_ARGUMENT);
    });
    const auto scan_with = [](int threads, bool ordered) {
        ms::options options = lineitem();
        options.split_by_rows(5000).set(MS_OPT_SCAN_ORDERED, ordered);
        const ms::scan scan = ms::or_throw(open(options).open_scan(options));
        std::vector<tally> parts(static_cast<size_t>(threads));
        std::atomic<bool> in_order{true}, good{true};
        std::vector<std::thread> takers;
        for (tally &part : parts)
            takers.emplace_back([&] {
                for (int64_t last = -1;;) {
                    auto taken = scan.next_with_split();
                    if (!taken) good = false;
                    if (!taken || !*taken) return;
                    if ((*taken)->split < last) in_order = false;
                    last = (*taken)->split;
                    part.add((*taken)->rows);
                }
            });
        tally all;
        for (std::thread &taker : takers) taker.join();
        for (const tally &part : parts) all.rows += part.rows, all.sum += part.sum;
        CHECK(good && all.is_lineitem());
        if (ordered) CHECK(in_order);
    };
    scenario("scan_unordered", [&] { scan_with(1, false); });
    scenario("scan_ordered", [&] { scan_with(1, true); });
    scenario("scan_threads", [&] { scan_with(4, false); });
    scenario("stream", [] {
        ms::stream stream = ms::or_throw(ms::or_throw(open(lineitem()).open_scan()).into_stream());
        tally all;
        for (ms::batch batch; stream->get_next(stream.get(), batch.out()) == 0 && batch;) all.add(batch);
        CHECK(all.is_lineitem());

        ms::split split = ms::or_throw(open(options_for("fault_stall")).open_split(0));
        ms::error failure;
        std::thread reader([&] { failure = split.next().error(); });
        std::this_thread::sleep_for(200ms);
        const ms::error busy = std::move(split).into_stream().error();
        CHECK_CODE(busy, MS_BUSY);
        split.cancel();  // a reader that could not be used up is still this one
        reader.join();
        CHECK_CODE(failure, MS_CANCELLED);
    });
    scenario("batches_outlive_owners", [] {
        ms::batch kept;
        {
            ms::split split = ms::or_throw(open(options_for("nation")).open_split(0));
            kept = std::move(*ms::or_throw(split.next()));
        }
        tally all;
        all.add(kept);
        CHECK(all.rows == 25 && all.sum == 300);
    });
    scenario("no_copy", [] {
        const ms::session session = open(options_for("nation"));
        ms::split split = ms::or_throw(session.open_split(0));
        ArrowArray raw;
        CHECK(ms_split_next_batch(split.get(), &raw, nullptr) == MS_OK);
        const void *values = raw.children[0]->buffers[1];
        const ms::batch batch(std::move(raw));
        CHECK(batch.values<int64_t>(0) == values);
    });
}

// ------------------------------------------------------------------------------------------------- without blocking, and cancelling

void waiting() {
    scenario("polling", [] {
        ms::options options = lineitem();
        const ms::session session = open(options.split_by_count(4));
        tally all;
        for (int64_t i = 0; i < session.split_count(); i++) {
            ms::split split = ms::or_throw(session.open_split(i));
            pollfd ready{split.ready_fd(), POLLIN, 0};
            for (ms::batch batch;;) {
                const ms::readiness said = ms::or_throw(split.try_next(batch));
                if (said == ms::readiness::end) break;
                if (said == ms::readiness::ready) all.add(batch);
                else CHECK(poll(&ready, 1, 10000) == 1);
            }
        }
        CHECK(all.is_lineitem());
    });
    scenario("scan_polling", [] {
        ms::options options = lineitem();
        const ms::session session = open(options.split_by_count(4));
        const ms::scan scan = ms::or_throw(session.open_scan());
        std::atomic<int> wakes{0};
        ms::or_throw(scan.set_waker([](void *count) { (*static_cast<std::atomic<int> *>(count))++; }, &wakes));
        pollfd ready{scan.ready_fd(), POLLIN, 0};
        tally all;
        int pending = 0;
        for (ms::scan_batch taken{{}, -1};;) {
            const ms::readiness said = ms::or_throw(scan.try_next(taken));
            CHECK((said == ms::readiness::ready) == (taken.split >= 0));
            if (said == ms::readiness::end) break;
            if (said == ms::readiness::ready) {
                all.add(taken.rows);
            } else {
                pending++;
                CHECK(poll(&ready, 1, 10000) == 1);
            }
        }
        CHECK(all.is_lineitem() && (pending == 0 || wakes > 0));
    });
    const auto cancelled = [](auto &reader) {
        clock_type::time_point woke;
        ms::error failure;
        std::thread sleeper([&] {
            failure = reader.next().error();
            woke = clock_type::now();
        });
        std::this_thread::sleep_for(200ms);
        const auto begin = clock_type::now();
        reader.cancel();
        sleeper.join();
        CHECK_CODE(failure, MS_CANCELLED);
        CHECK(woke - begin < 1s);
    };
    scenario("cancel_wakes", [&] {
        ms::split split = ms::or_throw(open(options_for("fault_stall")).open_split(0));
        cancelled(split);
    });
    scenario("cancel_stays", [] {
        ms::split split = ms::or_throw(open(options_for("nation")).open_split(0));
        split.cancel();
        for (int i = 0; i < 3; i++) CHECK_CODE(split.next().error(), MS_CANCELLED);
    });
    scenario("cancel_scan", [&] {
        const ms::scan scan = ms::or_throw(open(options_for("fault_stall")).open_scan());
        cancelled(scan);
    });
    scenario("cancel_planning", [] {
        const ms::client client = ms::or_throw(ms::client::open(options_for("fault_plan")));
        const ms::canceller cancel;
        clock_type::time_point woke;
        ms::error failure;
        std::thread planner([&] {
            failure = client.open_session(options_for("fault_plan"), cancel).error();
            woke = clock_type::now();
        });
        std::this_thread::sleep_for(200ms);
        const auto begin = clock_type::now();
        cancel.cancel();
        planner.join();
        CHECK_CODE(failure, MS_CANCELLED);
        CHECK(woke - begin < 1s);
    });
    scenario("cancel_reads", [] {
        const ms::client client = ms::or_throw(ms::client::open(options_for("nation")));
        const ms::session session = ms::or_throw(client.open_session(options_for("nation")));
        ms::split split = ms::or_throw(session.open_split(0)), late = ms::or_throw(session.open_split(0));
        const ms::scan scan = ms::or_throw(session.open_scan());
        const ms::canceller cancel;
        ms::or_throw(cancel.arm(client));
        ms::or_throw(cancel.add(split));
        ms::or_throw(cancel.add(scan));
        cancel.cancel();
        ms::or_throw(cancel.add(late));
        CHECK_CODE(split.next().error(), MS_CANCELLED);
        CHECK_CODE(late.next().error(), MS_CANCELLED);
        CHECK_CODE(scan.next().error(), MS_CANCELLED);
        const ms::canceller by_signal;
        ms::split waiting = ms::or_throw(open(options_for("fault_stall")).open_split(0));
        ms::or_throw(by_signal.arm(client));
        ms::or_throw(by_signal.add(waiting));
        std::thread handler([&] {
            std::this_thread::sleep_for(100ms);
            by_signal.cancel_from_signal();
        });
        CHECK_CODE(waiting.next().error(), MS_CANCELLED);
        handler.join();
    });
    scenario("calls_end", [] {
        const ms::client client = ms::or_throw(ms::client::open(options_for("nation")));
        const ms::session session = ms::or_throw(client.open_session(options_for("nation")));
        const ms::canceller cancel;
        const ms::client bounded = ms::or_throw(client.with_cancel(cancel));
        ms::or_throw(cancel.set_deadline(clock_type::now() + 200ms));
        CHECK_CODE(bounded.open_session(options_for("fault_plan")).error(), MS_DEADLINE_EXCEEDED);
        CHECK_CODE(bounded.tables().error(), MS_DEADLINE_EXCEEDED);
        CHECK_CODE(session.refresh(cancel).error(), MS_DEADLINE_EXCEEDED);
        ms::or_throw(cancel.clear_deadline());
        ms::or_throw(bounded.table_schema("nation"));
        cancel.cancel();
        CHECK_CODE(bounded.tables().error(), MS_CANCELLED);
        CHECK_CODE(session.refresh(cancel).error(), MS_CANCELLED);
        ms::or_throw(client.tables());
        ms::or_throw(session.refresh());
    });
    scenario("deadline", [] {
        ms::split split = ms::or_throw(open(options_for("fault_stall")).open_split(0));
        ms::or_throw(split.set_deadline(clock_type::now() + 200ms));
        CHECK_CODE(split.next().error(), MS_DEADLINE_EXCEEDED);
        split.cancel();
        CHECK_CODE(split.next().error(), MS_CANCELLED);
        const ms::scan scan = ms::or_throw(open(options_for("fault_stall")).open_scan());
        for (int i = 0; i < 2; i++) CHECK_CODE(scan.next_until(clock_type::now() + 100ms).error(), MS_DEADLINE_EXCEEDED);
        scan.cancel();
        CHECK_CODE(scan.next().error(), MS_CANCELLED);
    });
}

// ---------------------------------------------------------------------------------------------------------------------- faults

void faults() {
    scenario("resume", [] {
        int64_t resumes = 0;
        const tally all = read_one_split("fault_cut", "resumes", resumes);
        CHECK(all.rows == kRampRows && all.sum == 7998000 && resumes == 1);
    });
    scenario("throttled", [] {
        int64_t requests = 0;
        const tally all = read_one_split("fault_throttle", "requests", requests);
        CHECK(all.rows == kRampRows && requests == 2);
    });
    scenario("timeout", [] {
        ms::options options = options_for("fault_stall");
        const ms::error failure = failure_of(options.set(MS_OPT_READ_IDLE_TIMEOUT_MS, 300ms).set(MS_OPT_RETRY_MAX_ATTEMPTS, 1));
        CHECK_CODE(failure, MS_TIMEOUT);
        CHECK(failure.retryable());
    });
    scenario("corrupt", [] {
        const ms::error failure = failure_of(options_for("fault_corrupt"));
        CHECK_CODE(failure, MS_CORRUPT_DATA);
        CHECK(!failure.retryable() && *failure.request_id() != '\0');
    });
    scenario("schema_mismatch", [] { CHECK_CODE(failure_of(options_for("fault_schema")), MS_SCHEMA_MISMATCH); });
    scenario("expired", [] { CHECK_CODE(failure_of(options_for("fault_expired")), MS_SESSION_EXPIRED); });
    scenario("refresh", [] {
        const ms::session session = open(options_for("nation"));
        const int64_t before = session.expires_at_ms();
        ms::or_throw(session.refresh());
        CHECK(session.expires_at_ms() >= before);
    });
}

// -------------------------------------------------------------------------------------------------------- failures of the caller

void mistakes() {
    scenario("unknown_option", [] {
        ms::options options;
        const ms::error failure = options.set("tabel", "x").check().error();
        CHECK_CODE(failure, MS_INVALID_OPTION);
        CHECK(std::string(failure.message()).find("table") != std::string::npos);
        CHECK_CODE(ms::client::open(options).error(), MS_INVALID_OPTION);
    });
    scenario("missing_table", [] {
        const ms::error failure = failure_of(options_for("no_such_table"));
        CHECK_CODE(failure, MS_NOT_FOUND);
        CHECK(failure.http_status() == 404 && *failure.request_id() != '\0' && *failure.server_code() != '\0');
        CHECK(std::string(failure.json()).find(failure.request_id()) != std::string::npos);
    });
    scenario("wrong_secret", [] { CHECK_CODE(failure_of(options_for("nation").credentials("local", "wrong").clone()), MS_UNAUTHENTICATED); });
    scenario("quota_denied", [] { CHECK_CODE(failure_of(options_for("nation").quota("pay-as-you-go").clone()), MS_QUOTA_DENIED); });
    scenario("view", [] { CHECK_CODE(failure_of(options_for("view_of_nation")), MS_TABLE_KIND_UNSUPPORTED); });
    scenario("nobody_listens", [] {
        ms::options options = options_for("nation");
        const ms::error failure = failure_of(options.endpoint("http://127.0.0.1:1/api").set(MS_OPT_RETRY_MAX_ATTEMPTS, 2));
        CHECK_CODE(failure, MS_CONNECTION);
        CHECK(failure.retryable() && failure.attempts() == 2);
        // The host decides about each further attempt.
        std::atomic<int> asked{0};
        const auto twice = [](void *count, const ms_error *, int64_t, int64_t) -> int64_t {
            return static_cast<std::atomic<int> *>(count)->fetch_add(1) < 2 ? 0 : -1;
        };
        ms::options decided = options_for("nation");
        decided.endpoint("http://127.0.0.1:1/api").set(MS_OPT_RETRY_MAX_ATTEMPTS, 5).retry_hook(twice, &asked);
        CHECK(failure_of(decided).attempts() == 3 && asked == 3);
    });
    scenario("bad_filter", [] { CHECK_CODE(failure_of(options_for("nation").set(MS_OPT_FILTER_TEXT, "n_name >>> (").clone()), MS_INVALID_ARGUMENT); });
}

// ------------------------------------------------------------------------------------------------------------------- predicates

tally read_where(const ms::predicate &filter) {
    ms::options options = options_for("ramp");
    options.set(MS_OPT_FILTER_EXACT, true);
    return read_all(ms::or_throw(ms::or_throw(ms::client::open(options)).open_session(options, filter)), options);
}

/// id >= 3990, as pyarrow.compute.Expression.to_substrait writes it.
constexpr const char *SUBSTRAIT =
    "0a5a125868747470733a2f2f6769746875622e636f6d2f7375627374726169742d696f2f7375627374726169742f626c6f622f6d61696e2f65787465"
    "6e73696f6e732f66756e6374696f6e735f636f6d70617269736f6e2e79616d6c12071a051a036774651a2b0a1d1a1b1a040a021001220a1a0812060a"
    "021200220022071a050a0338961f1a0a65787072657373696f6e220c0a02696412060a043a0210013a10102c2a0c416365726f2032362e302e31";

void predicates() {
    using ms::col;
    scenario("filter_text", [] {
        ms::options options = options_for("ramp");
        CHECK(read(options.set(MS_OPT_FILTER_TEXT, "id >= 1000 and id < 1010").set(MS_OPT_FILTER_EXACT, true)).rows == 10);
    });
    scenario("compare", [] {
        const tally all = read_where(col("id") >= 3990);
        CHECK(all.rows == 10 && all.sum == 39945);
    });
    scenario("in_list", [] {
        CHECK(read_where(col("id").in<int64_t>({1, 2, std::nullopt, 5000})).rows == 2);
        CHECK(col("d").in<ms::decimal>({std::nullopt, ms::decimal{5, 2}, ms::decimal{7, 2}}).check().has_value());
        CHECK(col("d").in<ms::decimal>({ms::decimal{5, 2}, ms::decimal{5, 1}}).check().error().code() == MS_INVALID_ARGUMENT);
    });
    scenario("combined", [] { CHECK(read_where((col("id") < 10 || col("id") >= 3990) && !col("c_int").is_null()).rows == 18); });
    scenario("substrait", [] {
        std::string message;
        for (const char *hex = SUBSTRAIT; *hex != 0; hex += 2) message.push_back(static_cast<char>(std::stoi(std::string(hex, 2), nullptr, 16)));
        const tally all = read_where(ms::predicate::from_substrait(message));
        CHECK(all.rows == 10 && all.sum == 39945);
        CHECK(ms::predicate::from_substrait(message.substr(1)).check().error().code() == MS_INVALID_ARGUMENT);
    });
    scenario("runtime_filter", [] {
        ms::options options = options_for("ramp");
        ms::split split = ms::or_throw(open(options.split_by_count(1)).open_split(0));
        ms::or_throw(split.add_filter(col("id") >= 3990));
        tally all;
        drain(split, all);
        CHECK(all.rows == 10 && all.sum == 39945);
    });
}

// ------------------------------------------------------------------------------------------------------ catalogue and diagnosis

std::string text_at(const ms::batch &batch, int64_t column, int64_t row) {
    const ArrowArray &array = batch.column(column);
    const auto *offsets = static_cast<const int32_t *>(array.buffers[1]) + batch->offset + array.offset;
    return std::string(static_cast<const char *>(array.buffers[2]) + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row]));
}

/// Every row of a stream: texts of some columns.
std::vector<std::vector<std::string>> rows_of(ms::stream stream, const std::vector<int64_t> &columns) {
    std::vector<std::vector<std::string>> rows;
    for (ms::batch batch; stream->get_next(stream.get(), batch.out()) == 0 && batch;)
        for (int64_t row = 0; row < batch.rows(); row++) {
            rows.emplace_back();
            for (const int64_t column : columns) rows.back().push_back(text_at(batch, column, row));
        }
    return rows;
}

void catalogue() {
    const auto client = [] { return ms::or_throw(ms::client::open(options_for())); };
    scenario("tables", [&] {
        int found = 0;
        for (const auto &row : rows_of(ms::or_throw(client().tables(nullptr, "default")), {2})) found += row[0] == "lineitem" || row[0] == "parted";
        CHECK(found == 2);
    });
    scenario("table_schema", [&] {
        const ms::schema schema = ms::or_throw(client().table_schema("parted"));
        CHECK(schema.columns() == 4 && schema.find("ds") == 2);
        int32_t pairs = 0;
        std::memcpy(&pairs, schema->children[2]->metadata, sizeof pairs);
        CHECK(pairs >= 2);
    });
    scenario("table_details", [&] {
        ms::stream stream = ms::or_throw(client().table_details("clustered"));
        ms::schema schema;
        ms::batch batch;
        CHECK(stream->get_schema(stream.get(), schema.out()) == 0 && stream->get_next(stream.get(), batch.out()) == 0 && batch.rows() == 1);
        CHECK(text_at(batch, schema.find("kind"), 0) == "table" && text_at(batch, schema.find("cluster_kind"), 0) == "hash");
        CHECK(batch.values<int64_t>(schema.find("buckets"))[0] == 8);
    });
    scenario("partitions_listed", [&] {
        const auto rows = rows_of(ms::or_throw(client().partitions("parted")), {0});
        CHECK(rows.size() == 3 && rows_of(ms::or_throw(client().partitions("parted", ms::col("ds") == "20260102")), {0}).size() == 1);
    });
    scenario("preview", [&] {
        ms::stream stream = ms::or_throw(client().preview("nation", 5));
        int64_t rows = 0;
        for (ms::batch batch; stream->get_next(stream.get(), batch.out()) == 0 && batch;) rows += batch.rows();
        CHECK(rows == 5);
    });
    scenario("explain", [] {
        ms::options options = options_for("ramp");
        const ms::session session = open(options.split_by_rows(1500).set(MS_OPT_FILTER_TEXT, "id >= 1000"));
        const std::string json = ms::or_throw(session.explain());
        CHECK(json.find("\"split_count\":3") != std::string::npos && json.find("EXACT") != std::string::npos);
        const ms::split_info last = ms::or_throw(session.split_info(2));
        CHECK(last.start_row() == 3000 && last.rows() == 1000);
    });
    scenario("diagnose", [&] {
        const auto good = rows_of(ms::or_throw(client().diagnose("nation")), {0, 1});
        CHECK(good.size() == 10);
        for (const auto &row : good) CHECK(row[1] == "ok" || row[1] == "skipped");
        const ms::client bad = ms::or_throw(ms::client::open(options_for().credentials("local", "wrong")));
        for (const auto &row : rows_of(ms::or_throw(bad.diagnose("nation")), {0, 1})) CHECK((row[1] == "failed") == (row[0] == "signature"));
    });
}

// ---------------------------------------------------------------------------------------------------------------------- around

void around() {
    scenario("metrics", [] {
        const ms::session session = open(options_for("nation"));
        ms::split split = ms::or_throw(session.open_split(0));
        tally all;
        drain(split, all);
        const ms::metrics figures = ms::or_throw(split.metrics());
        CHECK(figures["rows"] == 25 && figures["bytes_wire"] > 0 && figures["no such figure"] == -1 && split.all_requested());
        {
            ms::split again = ms::or_throw(session.open_split(0));
            drain(again, all);
        }
        const ms::metrics sums = ms::or_throw(session.metrics());
        struct ending {
            int64_t split = -2, rows = 0;
            ms_status outcome = -1;
        } end;
        const auto note = [](void *context, int64_t number, ms_status outcome, const ms_metrics *final) {
            auto *told = static_cast<ending *>(context);
            *told = {number, 0, outcome};
            for (size_t i = 0; i < ms_metrics_count(final); i++)
                if (std::string(ms_metrics_name(final, i)) == "rows") told->rows = ms_metrics_value(final, i);
        };
        ms::options told;
        told.read_end_callback(note, &end);
        {
            ms::split last = ms::or_throw(session.open_split(0, told));
            drain(last, all);
        }
        CHECK(end.split == 0 && end.rows == 25 && end.outcome == MS_OK);
        CHECK(sums["rows"] == 50 && sums["reads"] == 2 && sums["bytes_wire"] >= 2 * figures["bytes_wire"]);
    });
    scenario("log", [] {
        std::atomic<int> records{0};
        ms::or_throw(ms::set_log(ms::log_level::debug, [&](ms::log_level, const char *, const char *) { records++; }));
        read(options_for("nation"));
        ms::or_throw(ms::set_log(ms::log_level::debug, nullptr));
        const int seen = records;
        read(options_for("nation"));
        CHECK(seen > 0 && records == seen);
        static std::atomic<int> plans{0}, reads{0}, wrong{0};  // a request may outlast the client
        ms::options traced = options_for("nation");
        traced.set(MS_OPT_TRACE_PARENT, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_callback([](void *, const ms_span *given) {
            const ms::span span(given);
            const std::string name = span.text("name");
            plans += name == "maxstorage.plan";
            reads += name == "maxstorage.read";
            wrong += span.text("parent_span_id") != std::string("00f067aa0ba902b7") || span.number("status") != MS_OK ||
                     std::string(span.json()).find("4bf92f3577b34da6a3ce929d0e0e4736") == std::string::npos;
        }, nullptr);
        read(traced);
        CHECK(plans >= 1 && reads >= 1 && wrong == 0);
    });
    scenario("memory_budget", [] {
        ms::options options = lineitem();
        options.set(MS_OPT_LIMITS_MEMORY_BYTES, int64_t{8} << 20);
        const ms::client client = ms::or_throw(ms::client::open(options));
        tally all;
        {
            const ms::scan scan = ms::or_throw(ms::or_throw(client.open_session(options)).open_scan(options));
            drain(scan, all);
        }
        const int64_t peak = ms::or_throw(client.metrics())["memory_peak"];
        CHECK(all.is_lineitem() && peak > 0 && peak <= 12 << 20);
    });
    scenario("credentials_provider", [] {
        std::atomic<int> asked{0};
        ms::options options = options_for("nation");
        options.credentials("", "").credentials_provider([&](ms::credentials out) {
            asked++;
            return out.access_key("local", "local");
        });
        CHECK(read(options).rows == 25 && asked >= 1);
    });
    scenario("bearer_token", [] {
        ms::options options = options_for("nation");
        options.credentials("", "").credentials_provider([](ms::credentials out) {
            const auto told = out.expires(std::chrono::system_clock::now() + 1h);
            return told ? out.bearer_token("conformance") : told;
        });
        CHECK(read(options).rows == 25);
        options.credentials_provider([](ms::credentials out) { return out.unavailable("the vault is shut"); });
        const ms::error failure = failure_of(options);
        CHECK_CODE(failure, MS_UNAVAILABLE);
        CHECK(std::string(failure.message()).find("the vault is shut") != std::string::npos);
    });
    scenario("options_described", [] {
        const ms::options options = options_for();
        ms::stream stream = ms::or_throw(options.describe());
        ms::batch rows;
        CHECK(stream->get_next(stream.get(), rows.out()) == 0 && rows);
        const auto text = [&](int64_t column, int64_t row) {
            if (rows.is_null(column, row)) return std::string("NULL");
            const auto *offsets = static_cast<const int32_t *>(rows.column(column).buffers[1]);
            return std::string(static_cast<const char *>(rows.column(column).buffers[2]) + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row]));
        };
        int found = 0;
        for (int64_t row = 0; row < rows.rows(); row++) {
            const std::string key = text(0, row), value = text(5, row);
            found += (key == MS_OPT_PROJECT && value == "local") || (key == MS_OPT_ACCESS_KEY_SECRET && value == "***") || (key == MS_OPT_TABLE && value == "NULL");
        }
        CHECK(found == 3);
    });
    struct host {
        std::atomic<int64_t> held{0}, asked{0};
        bool grants;
        explicit host(bool grants_all) : grants(grants_all) {}
        static bool reserve(void *context, size_t bytes) {
            auto *self = static_cast<host *>(context);
            self->asked++;
            if (self->grants) self->held += static_cast<int64_t>(bytes);
            return self->grants;
        }
        static void release(void *context, size_t bytes) { static_cast<host *>(context)->held -= static_cast<int64_t>(bytes); }
    };
    scenario("memory_hooks", [] {
        host self(true);
        ms::options options = lineitem();
        CHECK(read(options.memory_hooks(host::reserve, host::release, &self)).is_lineitem());
        CHECK(self.asked > 0);
        for (int i = 0; i < 5000 && self.held != 0; i++) std::this_thread::sleep_for(1ms);  // a reader may be about to end
        CHECK(self.held == 0);
        std::atomic<int> pieces{0}, given{0};
        struct counts { std::atomic<int> *pieces, *given; } counted{&pieces, &given};
        const auto allocate = [](void *context, size_t bytes, size_t alignment) {
            const auto *self = static_cast<counts *>(context);
            self->pieces->fetch_add(1);
            self->given->fetch_add(1);
            return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
        };
        const auto deallocate = [](void *context, void *memory, size_t, size_t) {
            static_cast<counts *>(context)->pieces->fetch_sub(1);
            std::free(memory);
        };
        ms::options own = lineitem();
        CHECK(read(own.allocator(allocate, deallocate, &counted)).is_lineitem());
        for (int i = 0; i < 5000 && pieces != 0; i++) std::this_thread::sleep_for(1ms);
        CHECK(pieces == 0 && given > 0);
    });
    scenario("memory_refused", [] {
        host self(false);
        ms::options options = options_for("nation");
        CHECK_CODE(failure_of(options.memory_hooks(host::reserve, host::release, &self)), MS_RESOURCE_EXHAUSTED);
        CHECK(self.asked > 0 && self.held == 0);
    });
    scenario("shutdown", [] {
        {
            const ms::client client = ms::or_throw(ms::client::open(options_for()));
            CHECK_CODE(ms::shutdown(0ms).error(), MS_WRONG_STATE);
        }
        ms::or_throw(ms::shutdown(10s));
        std::atomic<int> threads{0};
        const auto one_more = [](void *count) { static_cast<std::atomic<int> *>(count)->fetch_add(1); };
        const auto one_less = [](void *count) { static_cast<std::atomic<int> *>(count)->fetch_sub(1); };
        {
            ms::options hooked = options_for("nation");
            CHECK(read(hooked.thread_hooks(one_more, one_less, &threads)).rows == 25);
        }
        CHECK(threads >= 2);
        ms::or_throw(ms::shutdown(10s));
        CHECK(threads == 0);
        CHECK(read(options_for("nation")).rows == 25);
    });
    scenario("nothing_left", [] { CHECK(ms_live_handles() == 0); });
}

}  // namespace

int main() {
    reading();
    waiting();
    faults();
    mistakes();
    predicates();
    catalogue();
    around();
    std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
