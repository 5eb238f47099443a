// The C ABI from C++17: owning pointers for handles, threads over one session, an Arrow stream that moves between owners.
#include <maxstorage.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "check.h"

namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T *handle) const noexcept { Free(handle); }
};
using Options = std::unique_ptr<ms_options, Freed<ms_options_free>>;
using Client = std::unique_ptr<ms_client, Freed<ms_client_free>>;
using Session = std::unique_ptr<ms_session, Freed<ms_session_free>>;
using Split = std::unique_ptr<ms_split, Freed<ms_split_free>>;

Options options_for(const char *table, const std::vector<std::pair<const char *, const char *>> &settings = {}) {
  Options options(ms_options_new());
  std::vector<std::pair<const char *, const char *>> all{{MS_OPT_ENDPOINT, std::getenv("MS_TEST_ENDPOINT")},
                                                         {MS_OPT_ACCESS_KEY_ID, "local"},
                                                         {MS_OPT_ACCESS_KEY_SECRET, "local"},
                                                         {MS_OPT_TABLE, table}};
  all.insert(all.end(), settings.begin(), settings.end());
  for (const auto &[key, value] : all) {
    drop_error();
    if (ms_options_set(options.get(), key, value, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s: %s", key, ms_error_message(err));
  }
  return options;
}

Client open_client(const Options &options) {
  ms_client *client = nullptr;
  drop_error();
  CHECK_INT(ms_client_open(options.get(), &client, &err), MS_OK);
  return Client(client);
}

Session open_session(const Client &client, const Options &options) {
  ms_session *session = nullptr;
  drop_error();
  if (ms_session_open(client.get(), options.get(), nullptr, &session, &err) != MS_OK) check_fail(__FILE__, __LINE__, "%s", ms_error_message(err));
  return Session(session);
}

void threads_share_a_session() {
  const Options options = options_for("local.default.lineitem", {{MS_OPT_SPLIT_MODE, "row_offset"}, {MS_OPT_SPLIT_ROWS, "5000"}});
  const Client client = open_client(options);
  const Session session = open_session(client, options);
  std::atomic<int64_t> next{0}, rows{0}, failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int64_t index; (index = next++) < ms_session_split_count(session.get());) {
        ms_split *handle = nullptr;
        if (ms_split_open(session.get(), index, options.get(), &handle, nullptr) != MS_OK) ++failures;
        const Split split(handle);
        for (ArrowArray batch;;) {
          if (ms_split_next_batch(split.get(), &batch, nullptr) != MS_OK) {
            ++failures;
            break;
          }
          if (batch.release == nullptr) break;
          rows += batch.length;
          batch.release(&batch);
        }
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  CHECK_INT(failures, 0);
  CHECK_INT(rows, 60175);
}

void owners_may_die_in_the_order_of_the_stack_or_any_other() {
  auto options = options_for("local.default.nation");
  auto client = open_client(options);
  auto session = open_session(client, options);
  ms_split *handle = nullptr;
  drop_error();
  CHECK_INT(ms_split_open(session.get(), 0, nullptr, &handle, &err), MS_OK);
  Split split(handle);
  options.reset();
  client.reset();
  session.reset();
  int64_t rows = 0;
  for (ArrowArray batch; ms_split_next_batch(split.get(), &batch, nullptr) == MS_OK && batch.release != nullptr; batch.release(&batch))
    rows += batch.length;
  CHECK_INT(rows, 25);
}

// Moving an Arrow structure is a bitwise copy after which the source is marked released.
void a_stream_moves_between_owners() {
  ArrowArrayStream moved{};
  {
    const auto options = options_for("local.default.nation");
    const auto client = open_client(options);
    const auto session = open_session(client, options);
    ms_split *handle = nullptr;
    drop_error();
    CHECK_INT(ms_split_open(session.get(), 0, nullptr, &handle, &err), MS_OK);
    ArrowArrayStream stream{};
    CHECK_INT(ms_split_export_stream(handle, &stream, &err), MS_OK);
    moved = stream;
    stream.release = nullptr;
  }
  int64_t rows = 0;
  for (ArrowArray batch; moved.get_next(&moved, &batch) == 0 && batch.release != nullptr; batch.release(&batch)) rows += batch.length;
  CHECK_INT(rows, 25);
  moved.release(&moved);
}

}  // namespace

int main() {
  if (std::getenv("MS_TEST_ENDPOINT") == nullptr) {
    std::fprintf(stderr, "MS_TEST_ENDPOINT is not set: run this test through tests/native/run\n");
    return EXIT_FAILURE;
  }
  RUN(threads_share_a_session);
  RUN(owners_may_die_in_the_order_of_the_stack_or_any_other);
  RUN(a_stream_moves_between_owners);
  return check_end();
}
