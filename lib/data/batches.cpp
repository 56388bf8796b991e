// The order of a data set's rows, and its batches.
#include "xgrad/data/batches.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::data {

using detail::text;

Batches::Batches(std::int64_t count, std::int64_t batch_size) : batch_size_(batch_size) {
  if (count < 0 || count > std::numeric_limits<std::int32_t>::max()) {
    throw Error(text("batches: count ", count, " is not in 0 to 2147483647"));
  }
  if (batch_size < 1) throw Error(text("batches: batch size ", batch_size, " is less than 1"));
  // A batch is never larger than all rows; without this, size() could overflow.
  batch_size_ = std::min(batch_size, std::max<std::int64_t>(count, 1));
  rows_.resize(static_cast<std::size_t>(count));
  std::iota(rows_.begin(), rows_.end(), 0);
}

void Batches::shuffle(Generator& generator) {
  std::iota(rows_.begin(), rows_.end(), 0);
  generator.shuffle(std::span(rows_));
}

std::span<const std::int32_t> Batches::operator[](std::int64_t i) const& {
  if (i < 0 || i >= size())
    throw Error(text("batches: batch ", i, " is out of range for ", size(), " batches"));
  const std::int64_t first = i * batch_size_;
  const std::int64_t count = std::min(batch_size_, std::ssize(rows_) - first);
  return std::span(rows_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace xgrad::data
