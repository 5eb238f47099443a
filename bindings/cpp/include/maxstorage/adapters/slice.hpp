// A part of a batch as a batch of its own, over the same buffers.
#ifndef MAXSTORAGE_ADAPTERS_SLICE_HPP
#define MAXSTORAGE_ADAPTERS_SLICE_HPP

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "../arrow_types.hpp"

namespace maxstorage {
namespace detail {

/// A node of a slice: it keeps the whole batch, and the nodes below it, until it is released.
struct sliced_node {
    std::shared_ptr<batch> whole;
    std::vector<ArrowArray> children;
    std::vector<ArrowArray *> pointers;
    ArrowArray dictionary;

    static void release(ArrowArray *array) {
        auto *self = static_cast<sliced_node *>(array->private_data);
        for (ArrowArray &child : self->children)
            if (child.release != nullptr) child.release(&child);
        if (self->dictionary.release != nullptr) self->dictionary.release(&self->dictionary);
        array->release = nullptr;
        delete self;
    }

    static ArrowArray share(const ArrowArray &source, const std::shared_ptr<batch> &whole) {
        auto self = std::make_unique<sliced_node>();
        self->whole = whole;
        for (int64_t i = 0; i < source.n_children; i++) self->children.push_back(share(*source.children[i], whole));
        for (ArrowArray &child : self->children) self->pointers.push_back(&child);
        if (source.dictionary != nullptr) self->dictionary = share(*source.dictionary, whole);
        ArrowArray shared = source;
        shared.children = self->pointers.empty() ? nullptr : self->pointers.data();
        shared.dictionary = source.dictionary != nullptr ? &self->dictionary : nullptr;
        shared.release = release;
        shared.private_data = self.release();
        return shared;
    }
};

}  // namespace detail

/// Hands out a batch in parts of at most so many rows. No buffer is copied; the buffers live until the last part is released.
class slicer {
public:
    /// Takes a batch to be handed out.
    void put(batch &&whole) {
        whole_ = std::make_shared<batch>(std::move(whole));
        next_ = 0;
    }
    /// Whether there is nothing to hand out.
    bool empty() const noexcept { return whole_ == nullptr; }
    /// The next part; only while not empty.
    batch take(int64_t max_rows) {
        const int64_t rows = std::min(std::max<int64_t>(max_rows, 1), whole_->rows() - next_);
        ArrowArray part = detail::sliced_node::share(*whole_->get(), whole_);
        part.offset += next_;
        part.length = rows;
        part.null_count = part.null_count == 0 ? 0 : -1;
        next_ += rows;
        if (next_ == whole_->rows()) whole_.reset();
        return batch(std::move(part));
    }

private:
    std::shared_ptr<batch> whole_;
    int64_t next_ = 0;
};

}  // namespace maxstorage

#endif
