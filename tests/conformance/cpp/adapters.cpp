// The adapters of bindings/cpp: continuations, futures, coroutines, next(size, future), chunks. C++20 for the coroutine; the headers
// themselves are C++17.
#include <maxstorage.hpp>
#include <maxstorage/adapters/async_split.hpp>
#include <maxstorage/adapters/chunk_reader.hpp>
#include <maxstorage/adapters/data_source.hpp>
#include <maxstorage/exceptions.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ms = maxstorage;
using namespace std::chrono_literals;

namespace {

constexpr int64_t kRows = 60175, kSum = 1802759573;
int passed, failed, failures_here;

void check(bool holds, const char *what, int line) {
    if (holds) return;
    std::printf("  adapters.cpp:%d: not true: %s\n", line, what);
    failures_here++;
}
#define CHECK(condition) check((condition), #condition, __LINE__)

template <class Body>
void test(const char *name, Body body) {
    failures_here = 0;
    try {
        body();
    } catch (const std::exception &failure) {
        check(false, failure.what(), __LINE__);
    }
    // What ran on the executor may still be on its way out.
    for (int i = 0; i < 100 && ms_live_handles() != 0; i++) std::this_thread::sleep_for(10ms);
    CHECK(ms_live_handles() == 0);
    (failures_here == 0 ? passed : failed)++;
    std::printf("%s %s\n", failures_here == 0 ? "ok    " : "FAILED", name);
}

/// One thread that runs what is posted to it.
class loop {
public:
    loop() : thread_([this] { run(); }) {}
    ~loop() {
        post(nullptr);
        thread_.join();
    }
    void post(std::function<void()> work) {
        {
            const std::lock_guard lock(mutex_);
            queue_.push_back(std::move(work));
        }
        ready_.notify_one();
    }

private:
    void run() {
        for (;;) {
            std::unique_lock lock(mutex_);
            ready_.wait(lock, [this] { return !queue_.empty(); });
            std::function<void()> work = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            if (!work) return;
            work();
        }
    }
    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<std::function<void()>> queue_;
    std::thread thread_;
};

struct tally {
    int64_t rows = 0, sum = 0, longest = 0;
    void add(const ms::batch &batch) {
        rows += batch.rows();
        longest = std::max(longest, batch.rows());
        const int64_t *values = batch.values<int64_t>(0);
        for (int64_t i = 0; i < batch.rows(); i++) sum += values[i];
    }
    bool is_all() const { return rows == kRows && sum == kSum; }
};

ms::session open(const char *table) {
    ms::options options;
    options.endpoint(std::getenv("MS_TEST_ENDPOINT")).credentials("local", "local").project("local").table(table).split_by_count(1);
    if (std::string(table) == "lineitem") options.columns({"l_orderkey"});
    return ms::or_throw(ms::or_throw(ms::client::open(options)).open_session(options));
}
ms::split split_of(const char *table) { return ms::or_throw(open(table).open_split(0)); }

/// A coroutine that nobody waits for.
struct detached {
    struct promise_type {
        detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
};

detached read_all(ms::async_split reader, std::promise<tally> done) {
    tally all;
    for (;;) {
        ms::next_result next = co_await reader.next();
        if (!next || !*next) break;
        all.add(**next);
    }
    done.set_value(all);
}

}  // namespace

int main() {
    loop executor;
    const auto post = [&executor](std::function<void()> work) { executor.post(std::move(work)); };

    test("adapter_continuations", [&] {
        auto reader = std::make_shared<ms::async_split>(ms::or_throw(ms::async_split::make(split_of("lineitem"), post)));
        auto all = std::make_shared<tally>();
        std::promise<bool> done;
        std::function<void(ms::next_result)> take = [&](ms::next_result next) {
            if (!next || !*next) return done.set_value(next.has_value());
            all->add(**next);
            reader->next(take);
        };
        reader->next(take);
        CHECK(done.get_future().get());
        CHECK(all->is_all());
    });
    test("adapter_continuations_do_not_nest", [&] {
        const ms::session session = open("lineitem");
        ms::split split = ms::or_throw(session.open_split(0, ms::options().set(MS_OPT_READ_BATCH_ROWS, 1).set(MS_OPT_READ_PREFETCH_BATCHES, 1000)));
        auto reader = std::make_shared<ms::async_split>(ms::or_throw(ms::async_split::make(std::move(split), post)));
        int64_t rows = 0;
        int depth = 0, deepest = 0;
        std::promise<void> done;
        std::function<void(ms::next_result)> take = [&](ms::next_result next) {
            if (!next || !*next) return done.set_value();
            depth++;
            deepest = std::max(deepest, depth);
            if (rows++ == 0) std::this_thread::sleep_for(200ms);  // many batches are there before the second is asked for
            reader->next(take);
            depth--;
        };
        reader->next(take);
        done.get_future().get();
        CHECK(rows == kRows && deepest == 1);
    });
    test("adapter_continuation_may_drop_its_reader", [&] {
        auto reader = std::make_shared<std::optional<ms::async_split>>(ms::or_throw(ms::async_split::make(split_of("lineitem"), post)));
        std::promise<bool> done;
        (*reader)->next([&](ms::next_result next) {
            reader->reset();
            done.set_value(next && *next);
        });
        CHECK(done.get_future().get());
    });
    test("adapter_futures", [&] {
        ms::async_split reader = ms::or_throw(ms::async_split::make(split_of("lineitem"), post));
        tally all;
        for (;;) {
            ms::next_result next = reader.next_future().get();
            CHECK(next.has_value());
            if (!next || !*next) break;
            all.add(**next);
        }
        CHECK(all.is_all());
    });
    test("adapter_coroutines", [&] {
        std::promise<tally> done;
        std::future<tally> all = done.get_future();
        read_all(ms::or_throw(ms::async_split::make(split_of("lineitem"), post)), std::move(done));
        CHECK(all.get().is_all());
    });
    test("adapter_cancels_what_waits", [&] {
        ms::async_split reader = ms::or_throw(ms::async_split::make(split_of("fault_stall"), post));
        std::future<ms::next_result> next = reader.next_future();
        CHECK(next.wait_for(200ms) == std::future_status::timeout);
        reader.cancel();
        CHECK(next.wait_for(1s) == std::future_status::ready);
        CHECK(next.get().error().code() == MS_CANCELLED);
        std::future<ms::next_result> last;
        {
            ms::async_split dropped = ms::or_throw(ms::async_split::make(split_of("fault_stall"), post));
            last = dropped.next_future();
        }
        CHECK(last.wait_for(1s) == std::future_status::ready && last.get().error().code() == MS_CANCELLED);
    });
    test("adapter_executor_that_drops", [] {
        // Like one that is shut down: what is posted goes at once, and the reader with it, on the thread that wakes.
        std::atomic<int> dropped{0};
        const auto drop = [&dropped](std::function<void()>) { dropped++; };
        for (const char *table : {"lineitem", "fault_stall"}) {
            const int before = dropped;
            std::future<ms::next_result> next;
            {
                ms::async_split reader = ms::or_throw(ms::async_split::make(split_of(table), drop));
                next = reader.next_future();
                if (next.wait_for(0s) == std::future_status::ready) continue;  // the batch was there
                std::this_thread::sleep_for(100ms);
            }
            CHECK(next.wait_for(10s) == std::future_status::ready);
            CHECK(dropped > before);
            try {
                (void)next.get();
                CHECK(false);
            } catch (const std::future_error &) {
                // The promise went unkept with the continuation.
            }
        }
    });
    test("adapter_data_source", [] {
        ms::data_source source = ms::or_throw(ms::data_source::make(split_of("lineitem")));
        tally all;
        for (;;) {
            std::future<void> ready;
            auto answer = ms::or_throw(source.next(1000, ready));
            if (answer.finished()) break;
            if (answer.blocked) {
                CHECK(ready.wait_for(10s) == std::future_status::ready);
                continue;
            }
            all.add(answer.rows);
        }
        CHECK(all.is_all() && all.longest <= 1000);
    });
    test("adapter_data_source_is_replaced", [] {
        // The promise that waits goes with the waiter, which must outlive its split: one handle is left then, that of the new split.
        static int64_t handles_at_the_end;
        struct promise : std::promise<void> {
            promise() = default;
            promise(promise &&) = default;
            promise &operator=(promise &&) = default;
            ~promise() { handles_at_the_end = ms_live_handles(); }
        };
        using source = ms::basic_data_source<promise>;
        source current = ms::or_throw(source::make(split_of("fault_stall")));
        std::future<void> ready;
        CHECK(ms::or_throw(current.next(1000, ready)).blocked);
        current = ms::or_throw(source::make(split_of("lineitem")));
        CHECK(handles_at_the_end == 1);
        while (!ms::or_throw(current.next(1000, ready)).finished()) {
        }
    });
    test("adapter_chunks", [] {
        const ms::session session = open("lineitem");
        ms::chunk_reader reader(session, 0, 777);
        ms::batch chunk;
        CHECK(!ms::or_throw(reader.get_next(chunk)));
        ms::or_throw(reader.open(ms::options()));
        tally all;
        while (ms::or_throw(reader.get_next(chunk))) all.add(chunk);
        CHECK(all.is_all() && all.longest <= 777);
        CHECK(ms::or_throw(reader.metrics())["rows"] == kRows);
        chunk.reset();
        reader.close();
    });
    test("adapter_chunks_become_columns_of_the_engine", [] {
        const ms::session session = open("nation");
        const ms::schema schema = ms::or_throw(session.schema());
        ms::chunk_reader reader(session, 0, 7);  // parts of a batch, of which each begins elsewhere
        ms::or_throw(reader.open(ms::options()));
        std::vector<int64_t> keys;
        std::vector<uint8_t> nulls, validity;
        std::string names;
        std::vector<uint32_t> ends;
        ms::batch chunk;
        while (ms::or_throw(reader.get_next(chunk))) {
            const ms::column key(schema, chunk, schema.find("n_nationkey")), name(schema, chunk, schema.find("n_name"));
            const size_t before = keys.size(), rows = static_cast<size_t>(chunk.rows()), bytes = names.size();
            keys.resize(before + rows);
            ms::or_throw(key.copy_values(0, chunk.rows(), &keys[before], rows * sizeof keys[0]));
            nulls.resize(before + rows);
            CHECK(ms::or_throw(name.copy_nulls(0, chunk.rows(), &nulls[before], rows)) == 0);
            validity.assign((rows + 7) / 8, 0);
            CHECK(ms::or_throw(name.copy_validity(0, chunk.rows(), validity.data(), validity.size())) == 0 && (validity[0] & 1) == 1);
            const size_t more = ms::or_throw(name.strings_size(0, chunk.rows()));
            names.resize(bytes + more);
            ends.resize(before + rows);
            ms::or_throw(name.copy_strings(0, chunk.rows(), static_cast<uint32_t>(bytes), &names[bytes], more, &ends[before], rows));
            CHECK(name.copy_strings(0, chunk.rows(), 0, &names[bytes], more - 1, &ends[before], rows).error().code() == MS_INVALID_ARGUMENT);
        }
        int64_t sum = 0;
        for (const int64_t key : keys) sum += key;
        CHECK(keys.size() == 25 && sum == 300 && ends.back() == names.size());
        CHECK(names.substr(0, ends[0]) == "ALGERIA" && names.substr(ends[0], ends[1] - ends[0]) == "ARGENTINA");
        CHECK(names.substr(ends[23]) == "UNITED STATES");
        chunk.reset();
        reader.close();
    });
    test("adapter_slices_outlive_their_batch", [] {
        ms::slicer slices;
        {
            ms::split split = split_of("lineitem");
            slices.put(std::move(*ms::or_throw(split.next())));
        }
        ms::batch first = slices.take(10), second = slices.take(10);
        const int64_t *values = first.values<int64_t>(0);
        CHECK(second.values<int64_t>(0) == values + 10);
        while (!slices.empty()) slices.take(1000);
        first.reset();
        CHECK(second.rows() == 10 && second.values<int64_t>(0)[0] > 0);
    });
    std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
