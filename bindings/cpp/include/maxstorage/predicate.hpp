// Filters as trees of typed comparisons: `col("id") >= 10 && !col("note").is_null()`.
#ifndef MAXSTORAGE_PREDICATE_HPP
#define MAXSTORAGE_PREDICATE_HPP

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "literals.hpp"
#include "result.hpp"

namespace maxstorage {

/// A filter. Copies are cheap. The first failure in building one is kept, and whatever is opened with it fails with it.
class predicate {
public:
    /// Text in the grammar of the service; docs/predicates.md has it.
    static predicate parse(std::string_view text) {
        return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_parse(std::string(text).c_str(), out, err); });
    }

    /// A Substrait message: an ExtendedExpression with one condition; docs/predicates.md has what is taken. The bytes are not kept.
    static predicate from_substrait(std::string_view message) {
        return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_from_substrait(message.data(), message.size(), out, err); });
    }

    /// The same filter.
    ///@{
    predicate(const predicate &other) : handle_(ms_predicate_clone(other.handle_.get())), failure_(other.failure_) {}
    predicate(predicate &&) noexcept = default;
    predicate &operator=(predicate other) noexcept {
        handle_ = std::move(other.handle_);
        failure_ = std::move(other.failure_);
        return *this;
    }

    ///@}

    /// Both, either, or not. What an operand failed with, the outcome fails with.
    ///@{
    friend predicate operator&&(const predicate &a, const predicate &b) { return join(ms_predicate_and, a, b); }
    friend predicate operator||(const predicate &a, const predicate &b) { return join(ms_predicate_or, a, b); }
    predicate operator!() const {
        if (failure_) return *this;
        return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_not(handle_.get(), out, err); });
    }

    ///@}
    /// The text, for logs.
    const char *text() const noexcept { return ms_predicate_text(handle_.get()); }
    /// The first failure in building it.
    result<void> check() const {
        if (failure_) return failure_;
        return {};
    }
    /// For calls of the C interface.
    const ms_predicate *get() const noexcept { return handle_.get(); }

private:
    friend class col;
    template <class Make>
    explicit predicate(Make make) {
        ms_predicate *out = nullptr;
        ms_error *failure = nullptr;
        if (const ms_status status = make(&out, &failure); status != MS_OK) failure_ = error(status, failure);
        handle_.reset(out);
    }
    template <class Join>
    static predicate join(Join function, const predicate &a, const predicate &b) {
        if (a.failure_) return a;
        if (b.failure_) return b;
        const ms_predicate *operands[] = {a.get(), b.get()};
        return predicate([&](ms_predicate **out, ms_error **err) { return function(operands, 2, out, err); });
    }

    detail::handle<ms_predicate, ms_predicate_free> handle_;
    error failure_;
};

/// A column in a predicate: a name, or names with dots in between for a field of a struct; odd names in back-quotes. Literals are
/// numbers, bool, texts, date, decimal, binary and time points of the system clock.
class col {
public:
    /// Copies the name.
    explicit col(std::string_view name) : name_(name) {}

    /// Compares with a literal, which is converted to the type of the column when the read is planned.
    ///@{
    template <class T> friend predicate operator==(const col &c, const T &value) { return c.compare(MS_COMPARE_EQ, value); }
    template <class T> friend predicate operator!=(const col &c, const T &value) { return c.compare(MS_COMPARE_NE, value); }
    template <class T> friend predicate operator<(const col &c, const T &value) { return c.compare(MS_COMPARE_LT, value); }
    template <class T> friend predicate operator<=(const col &c, const T &value) { return c.compare(MS_COMPARE_LE, value); }
    template <class T> friend predicate operator>(const col &c, const T &value) { return c.compare(MS_COMPARE_GT, value); }
    template <class T> friend predicate operator>=(const col &c, const T &value) { return c.compare(MS_COMPARE_GE, value); }
    ///@}

    /// Whether there is a value.
    ///@{
    predicate is_null() const { return null(false); }
    predicate is_not_null() const { return null(true); }
    ///@}
    /// One of some literals; std::nullopt stands for NULL.
    ///@{
    template <class T>
    predicate in(std::initializer_list<std::optional<T>> values) const { return list(false, literals(std::vector<std::optional<T>>(values))); }
    template <class T>
    predicate not_in(std::initializer_list<std::optional<T>> values) const { return list(true, literals(std::vector<std::optional<T>>(values))); }
    predicate in(const literals &values) const { return list(false, values); }
    predicate not_in(const literals &values) const { return list(true, values); }
    ///@}

private:
    template <class T>
    predicate compare(ms_compare_op op, const T &value) const {
        if constexpr (std::is_array_v<T> || std::is_convertible_v<T, const char *>) {
            return compare(op, std::string_view(value));
        } else {
            const literals literal = literals::one(value);
            const ArrowSchema schema = literal.schema();
            ArrowArray array = literal.array();
            return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_compare(name_.c_str(), op, &schema, &array, out, err); });
        }
    }
    predicate list(bool negated, const literals &values) const {
        const ArrowSchema schema = values.schema();
        ArrowArray array = values.array();
        return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_in(name_.c_str(), negated, &schema, &array, out, err); });
    }
    predicate null(bool negated) const {
        return predicate([&](ms_predicate **out, ms_error **err) { return ms_predicate_is_null(name_.c_str(), negated, out, err); });
    }
    std::string name_;
};

}  // namespace maxstorage

#endif
