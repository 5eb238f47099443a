// Values of C++ as Arrow arrays, for predicates.
#ifndef MAXSTORAGE_LITERALS_HPP
#define MAXSTORAGE_LITERALS_HPP

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "arrow_types.hpp"

namespace maxstorage {

/// A DATE: days since 1970-01-01.
struct date {
    /// Days since 1970-01-01.
    int32_t days;
};

/// A DECIMAL: the unscaled value in two halves, and how many digits stand behind the point. decimal{5, 2} is 0.05.
struct decimal {
    /// A value of 64 bits.
    decimal(int64_t unscaled, int32_t digits_behind) : low(static_cast<uint64_t>(unscaled)), high(unscaled < 0 ? -1 : 0), scale(digits_behind) {}
    /// A value of 128 bits, in two's complement.
    decimal(int64_t high_half, uint64_t low_half, int32_t digits_behind) : low(low_half), high(high_half), scale(digits_behind) {}
    /// The lower 64 bits.
    uint64_t low;
    /// The upper 64 bits.
    int64_t high;
    /// How many digits stand behind the point.
    int32_t scale;
};

/// Bytes of a BINARY.
struct binary {
    /// The bytes.
    std::string bytes;
};

/// An array of values of one type, some of them NULL, that owns what it holds until it is exported. Decimals of one array have one scale;
/// a filter made of others fails with MS_INVALID_ARGUMENT.
class literals {
public:
    /// Copies the values; std::nullopt stands for NULL.
    template <class T>
    explicit literals(const std::vector<std::optional<T>> &values) {
        for (const auto &value : values) add(value);
    }
    /// An array of one value.
    template <class T>
    static literals one(const T &value) {
        return literals(std::vector<std::optional<T>>{value});
    }

    /// The type; borrowed from this object.
    ArrowSchema schema() const noexcept {
        ArrowSchema type{};
        type.format = format_.c_str();
        type.name = "";
        type.flags = ARROW_FLAG_NULLABLE;
        type.release = [](ArrowSchema *self) { self->release = nullptr; };
        return type;
    }

    /// The array, which no longer needs this object.
    ArrowArray array() const {
        auto content = std::make_unique<exported>(exported{bits_, data_, offsets_, {}});
        ArrowArray array{};
        array.length = length_;
        array.null_count = nulls_;
        if (offsets_.empty()) {
            content->buffers = {content->bits.data(), content->data.data()};
        } else {
            content->buffers = {content->bits.data(), content->offsets.data(), content->data.data()};
        }
        array.n_buffers = static_cast<int64_t>(content->buffers.size());
        array.buffers = content->buffers.data();
        array.release = [](ArrowArray *self) {
            delete static_cast<exported *>(self->private_data);
            self->release = nullptr;
        };
        array.private_data = content.release();
        return array;
    }

private:
    struct exported {
        std::vector<uint8_t> bits;
        std::vector<uint8_t> data;
        std::vector<int32_t> offsets;
        std::vector<const void *> buffers;
    };

    template <class T>
    void add(const std::optional<T> &value) {
        if (length_ % 8 == 0) bits_.push_back(0);
        if (value) bits_.back() = static_cast<uint8_t>(bits_.back() | 1 << length_ % 8);
        else nulls_++;
        put(value ? &*value : nullptr, static_cast<const T *>(nullptr));
        length_++;
    }

    void fixed(const void *value, size_t width, std::string format) {
        format_ = std::move(format);
        const size_t at = data_.size();
        data_.resize(at + width);
        if (value != nullptr) std::memcpy(data_.data() + at, value, width);
    }
    void text(const std::string_view *value, const char *format) {
        format_ = format;
        if (offsets_.empty()) offsets_.push_back(0);
        if (value != nullptr) data_.insert(data_.end(), value->begin(), value->end());
        offsets_.push_back(static_cast<int32_t>(data_.size()));
    }

    template <class T>
    void put(const T *value, const T *) {
        using namespace std::chrono;
        if constexpr (std::is_same_v<T, bool>) {
            format_ = "b";
            if (length_ % 8 == 0) data_.push_back(0);
            if (value != nullptr && *value) data_.back() = static_cast<uint8_t>(data_.back() | 1 << length_ % 8);
        } else if constexpr (std::is_integral_v<T>) {
            static_assert(!std::is_unsigned_v<T> || sizeof(T) < sizeof(int64_t), "MaxCompute has no unsigned 64-bit numbers");
            const int64_t wide = value != nullptr ? static_cast<int64_t>(*value) : 0;
            fixed(&wide, sizeof wide, "l");
        } else if constexpr (std::is_floating_point_v<T>) {
            const double wide = value != nullptr ? static_cast<double>(*value) : 0;
            fixed(&wide, sizeof wide, "g");
        } else if constexpr (std::is_same_v<T, date>) {
            fixed(value != nullptr ? &value->days : nullptr, sizeof(int32_t), "tdD");
        } else if constexpr (std::is_same_v<T, decimal>) {
            uint64_t halves[2] = {0, 0};
            if (value != nullptr) {
                halves[0] = value->low;
                halves[1] = static_cast<uint64_t>(value->high);
                if (scale_ && *scale_ != value->scale) scales_ += " and " + std::to_string(*scale_);
                scale_ = value->scale;
            }
            // The library refuses a format with two scales, and tells it.
            fixed(halves, sizeof halves, "d:38," + std::to_string(scale_.value_or(0)) + scales_);
        } else if constexpr (std::is_same_v<T, binary>) {
            const std::string_view bytes = value != nullptr ? std::string_view(value->bytes) : std::string_view();
            text(value != nullptr ? &bytes : nullptr, "z");
        } else if constexpr (std::is_convertible_v<T, std::string_view>) {
            const std::string_view words = value != nullptr ? std::string_view(*value) : std::string_view();
            text(value != nullptr ? &words : nullptr, "u");
        } else {
            // Any time point of the system clock: finer units than microseconds as nanoseconds, all others as microseconds.
            static_assert(std::is_same_v<typename T::clock, system_clock>, "a literal is a number, a text, a date, a decimal or a time");
            using unit = typename T::duration::period;
            const bool fine = std::ratio_less_v<unit, std::micro>;
            const int64_t since = value == nullptr ? 0
                                  : fine           ? static_cast<int64_t>(duration_cast<nanoseconds>(value->time_since_epoch()).count())
                                                   : static_cast<int64_t>(duration_cast<microseconds>(value->time_since_epoch()).count());
            fixed(&since, sizeof since, fine ? "tsn:UTC" : "tsu:UTC");
        }
    }

    std::string format_;
    std::vector<uint8_t> bits_, data_;
    std::vector<int32_t> offsets_;
    int64_t length_ = 0, nulls_ = 0;
    std::optional<int32_t> scale_;  // of the decimals so far
    std::string scales_;
};

}  // namespace maxstorage

#endif
