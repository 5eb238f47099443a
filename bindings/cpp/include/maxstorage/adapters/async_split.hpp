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
/// waits is then called with MS_CANCELLED.
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

    /// Calls `then` with the next batch: at once if it is there, else later on the executor.
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
            continuation then;
            std::optional<next_result> outcome;
            {
                const std::lock_guard lock(mutex);
                if (!waiting) return;
                batch taken;
                auto said = reader.try_next(taken);
                if (said && *said == readiness::pending) return;
                if (!said) {
                    outcome.emplace(said.error());
                } else if (*said == readiness::end) {
                    outcome.emplace(std::optional<batch>());
                } else {
                    outcome.emplace(std::optional<batch>(std::move(taken)));
                }
                then = std::exchange(waiting, nullptr);
            }
            then(std::move(*outcome));
        }

        split reader;
        executor post;
        std::mutex mutex;  // guards `waiting`, and makes calls of try_next come one after the other
        continuation waiting;
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
