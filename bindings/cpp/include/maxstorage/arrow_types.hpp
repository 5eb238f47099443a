// The structures of the Arrow C Data Interface as owners: released once, on any thread, in any order.
#ifndef MAXSTORAGE_ARROW_TYPES_HPP
#define MAXSTORAGE_ARROW_TYPES_HPP

#include <maxstorage.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace maxstorage {

/// Owns an ArrowSchema, ArrowArray or ArrowArrayStream. Empty (`release` is NULL) until something fills it.
template <class T>
class arrow_owner {
public:
    /// Empty.
    arrow_owner() noexcept : value_{} {}
    /// Takes over a structure.
    explicit arrow_owner(T &&value) noexcept : value_(value) { value.release = nullptr; }
    /// The other object is empty afterwards.
    arrow_owner(arrow_owner &&other) noexcept : value_(other.value_) { other.value_.release = nullptr; }
    /// Releases what is there; the other object is empty afterwards.
    arrow_owner &operator=(arrow_owner &&other) noexcept {
        if (this != &other) {
            reset();
            value_ = other.value_;
            other.value_.release = nullptr;
        }
        return *this;
    }
    arrow_owner(const arrow_owner &) = delete;
    arrow_owner &operator=(const arrow_owner &) = delete;
    ~arrow_owner() { reset(); }

    /// True if there is something to release.
    explicit operator bool() const noexcept { return value_.release != nullptr; }
    /// The structure, which stays this object's; never NULL.
    const T *get() const noexcept { return &value_; }
    /// The structure, which stays this object's; never NULL.
    T *get() noexcept { return &value_; }
    /// A member of the structure.
    const T *operator->() const noexcept { return &value_; }
    /// A member of the structure.
    T *operator->() noexcept { return &value_; }

    /// Releases what is there and hands out the empty structure, to be filled.
    T *out() noexcept {
        reset();
        return &value_;
    }
    /// Gives the structure away, for example to Arrow's own importer. This object is empty afterwards.
    T release() noexcept {
        T value = value_;
        value_.release = nullptr;
        return value;
    }
    /// Releases what is there; empty afterwards.
    void reset() noexcept {
        if (value_.release != nullptr) value_.release(&value_);
        value_ = T{};
    }

private:
    T value_;
};

/// A schema of type struct: one child per column.
class schema : public arrow_owner<ArrowSchema> {
public:
    using arrow_owner::arrow_owner;
    /// How many columns there are.
    int64_t columns() const noexcept { return get()->n_children; }
    /// The name of a column, from 0 to columns() - 1; borrowed from this object.
    const char *name(int64_t column) const noexcept { return get()->children[column]->name; }
    /// The format string of Arrow, for example "l" for int64.
    const char *format(int64_t column) const noexcept { return get()->children[column]->format; }
    /// Whether a column may hold NULL.
    bool nullable(int64_t column) const noexcept { return (get()->children[column]->flags & ARROW_FLAG_NULLABLE) != 0; }
    /// The number of the column with this name; -1 if there is none.
    int64_t find(const char *name) const noexcept {
        for (int64_t i = 0; i < columns(); i++)
            if (std::strcmp(this->name(i), name) == 0) return i;
        return -1;
    }
};

/// A struct array of at least one row. Its buffers may outlive everything else of the library.
class batch : public arrow_owner<ArrowArray> {
public:
    using arrow_owner::arrow_owner;
    /// How many rows there are.
    int64_t rows() const noexcept { return get()->length; }
    /// How many columns there are.
    int64_t columns() const noexcept { return get()->n_children; }
    /// A column, from 0 to columns() - 1; borrowed from this object.
    const ArrowArray &column(int64_t index) const noexcept { return *get()->children[index]; }

    /// The values of a column of fixed width, from the first row of the batch on; T must have that width. NULL if the column has no
    /// such buffer. Where `is_null`, the value means nothing.
    template <class T>
    const T *values(int64_t index) const noexcept {
        const ArrowArray &array = column(index);
        if (array.n_buffers != 2 || array.buffers[1] == nullptr) return nullptr;
        return static_cast<const T *>(array.buffers[1]) + get()->offset + array.offset;
    }
    /// Whether a value is NULL.
    bool is_null(int64_t index, int64_t row) const noexcept {
        const ArrowArray &array = column(index);
        if (array.null_count == 0 || array.n_buffers == 0 || array.buffers[0] == nullptr) return false;
        const int64_t bit = get()->offset + array.offset + row;
        return (static_cast<const uint8_t *>(array.buffers[0])[bit / 8] >> (bit % 8) & 1) == 0;
    }
};

/// A stream of batches in the Arrow C Stream Interface.
using stream = arrow_owner<ArrowArrayStream>;

}  // namespace maxstorage

#endif
