// A split for executors: continuations, futures, and, in C++20, coroutines. No thread waits.
#ifndef MAXSTORAGE_ADAPTERS_ASYNC_SPLIT_HPP
#define MAXSTORAGE_ADAPTERS_ASYNC_SPLIT_HPP

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "../reader.hpp"

#if defined(__cpp_impl_coroutine) && __cpp_impl_coroutine >= 201902L
#include <coroutine>
#define MAXSTORAGE_HAS_COROUTINES 1
#endif

namespace maxstorage {

/// What `next` of an async_split ends with: a batch, nothing at the end of the data, or a failure.
using next_result = result<std::optional<batch>>;

/// A split whose batches are waited for by continuations. `post` runs a function on the caller's executor; it must be callable from any
/// thread, and must not run the function in place. One `next` at a time; destroying the object ends the read, and a continuation that
/// waits is then called with MS_CANCELLED. An executor that drops functions, for example because it ends, drops the continuations with them.
class async_split {
public:
    /// Runs a function later, on a thread of the caller.
    using executor = std::function<void(std::function<void()>)>;
    /// What is called with the next batch.
    using continuation = std::function<void(next_result)>;

    /// Takes over a split.
    static result<async_split> make(split reader, executor post) {
        auto shared = std::make_shared<state>(std::move(reader), std::move(post));
        if (auto set = shared->reader.set_waker(state::wake, shared.get()); !set) return set.error();
        return async_split(std::move(shared));
    }

    /// The other object may only be assigned to or destroyed afterwards.
    ///@{
    async_split(async_split &&) noexcept = default;
    async_split &operator=(async_split &&other) noexcept {
        end();
        state_ = std::move(other.state_);
        return *this;
    }
    ///@}
    /// Ends the read.
    ~async_split() { end(); }

    /// Calls `then` with the next batch: at once if it is there, else later on the executor. Asked for from inside of a continuation, the
    /// next one runs when that has returned, on its thread if the batch is there: a chain of continuations takes no stack.
    void next(continuation then) {
        {
            const std::lock_guard lock(state_->mutex);
            state_->waiting = std::move(then);
        }
        state_->attempt();
    }

    /// The next batch as a future.
    std::future<next_result> next_future() {
        auto promise = std::make_shared<std::promise<next_result>>();
        auto future = promise->get_future();
        next([promise](next_result taken) { promise->set_value(std::move(taken)); });
        return future;
    }

#ifdef MAXSTORAGE_HAS_COROUTINES
    /// `co_await reader.next()`; goes on where the batch was there already, else on the executor.
    auto next() {
        struct awaiter {
            async_split *reader;
            std::shared_ptr<std::optional<next_result>> taken = std::make_shared<std::optional<next_result>>();

            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<> suspended) {
                reader->next([slot = taken, suspended](next_result outcome) {
                    slot->emplace(std::move(outcome));
                    suspended.resume();
                });
            }
            next_result await_resume() { return std::move(**taken); }
        };
        return awaiter{this};
    }
#endif

    /// From any thread; a continuation that waits is called with MS_CANCELLED.
    void cancel() const noexcept { state_->reader.cancel(); }

private:
    struct state : std::enable_shared_from_this<state> {
        state(split owned, executor run) : reader(std::move(owned)), post(std::move(run)) {}

        /// Runs on a thread of the library, so it only posts.
        static void wake(void *context) {
            if (auto self = static_cast<state *>(context)->weak_from_this().lock()) {
                auto &post = self->post;
                post([self = std::move(self)] { self->attempt(); });
            }
        }

        void attempt() {
            const auto self = this->shared_from_this();  // a continuation may destroy the reader
            std::unique_lock lock(mutex);
            if (running) return;  // the thread that runs a continuation looks again behind it
            const turn mine(*this, lock);
            while (waiting) {
                batch taken;
                auto said = reader.try_next(taken);
                if (said && *said == readiness::pending) break;
                next_result outcome = std::optional<batch>();
                if (!said) {
                    outcome = said.error();
                } else if (*said == readiness::ready) {
                    outcome = std::optional<batch>(std::move(taken));
                }
                continuation then = std::exchange(waiting, nullptr);
                lock.unlock();
                then(std::move(outcome));
                then = nullptr;  // what it holds goes without the lock
                lock.lock();
            }
        }

        ///@cond `running` for as long as it lives, also if a continuation throws
        struct turn {
            turn(state &whose, std::unique_lock<std::mutex> &held) : owner(whose), lock(held) { owner.running = true; }
            turn(const turn &) = delete;
            turn &operator=(const turn &) = delete;
            ~turn() {
                if (!lock.owns_lock()) lock.lock();
                owner.running = false;
            }
            state &owner;
            std::unique_lock<std::mutex> &lock;
        };
        ///@endcond

        split reader;
        executor post;
        std::mutex mutex;  // guards what is below, and makes calls of try_next come one after the other
        continuation waiting;
        bool running = false;
    };

    explicit async_split(std::shared_ptr<state> shared) noexcept : state_(std::move(shared)) {}
    void end() noexcept {
        if (state_ == nullptr) return;
        state_->reader.cancel();
        state_.reset();
    }
    std::shared_ptr<state> state_;
};

}  // namespace maxstorage

#endif
