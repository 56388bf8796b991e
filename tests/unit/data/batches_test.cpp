// Batches: order, sizes, shuffling.
#include "xgrad/data/batches.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "xgrad/support/error.hpp"

using namespace xgrad;
using namespace xgrad::data;

namespace {

std::vector<std::int32_t> all_rows(const Batches& batches) {
  std::vector<std::int32_t> rows;
  for (const auto batch : batches) rows.insert(rows.end(), batch.begin(), batch.end());
  return rows;
}

}  // namespace

static_assert(std::forward_iterator<Batches::Iterator>);

// Rows and iterators of a temporary would dangle.
template <class B>
concept GivesRows = requires(B&& b) { std::forward<B>(b)[0]; };
template <class B>
concept GivesIterators =
    requires(B&& b) { std::forward<B>(b).begin(); } || requires(B&& b) { std::forward<B>(b).end(); };
static_assert(GivesRows<const Batches&> && !GivesRows<Batches> && !GivesRows<const Batches>);
static_assert(GivesIterators<const Batches&> && !GivesIterators<Batches> && !GivesIterators<const Batches>);

TEST_CASE("batches: in order at first, the last one ragged") {
  const Batches batches(7, 3);
  REQUIRE(batches.size() == 3);
  CHECK(batches[0].size() == 3);
  CHECK(batches[2].size() == 1);
  CHECK(all_rows(batches) == std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("batches: sizes at the edges") {
  CHECK(Batches(6, 3).size() == 2);
  CHECK(Batches(0, 3).size() == 0);
  CHECK(all_rows(Batches(0, 3)).empty());
  CHECK(Batches(5, 1).size() == 5);
  const Batches whole(5, std::numeric_limits<std::int64_t>::max());
  CHECK(whole.size() == 1);
  CHECK(whole[0].size() == 5);
}

TEST_CASE("batches: a shuffle keeps every row and the memory, and depends on the generator alone") {
  Batches batches(1000, 64);
  const std::int32_t* memory = batches[0].data();
  Generator random(3);
  batches.shuffle(random);
  const auto once = all_rows(batches);
  batches.shuffle(random);
  const auto twice = all_rows(batches);
  CHECK(once != twice);
  CHECK(batches[0].data() == memory);

  Generator again(3);
  batches.shuffle(again);
  CHECK(all_rows(batches) == once);

  auto sorted = twice;
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted == all_rows(Batches(1000, 64)));
  CHECK(sorted != twice);
}

TEST_CASE("batches: errors") {
  CHECK_THROWS_WITH_AS(Batches(10, 0), "batches: batch size 0 is less than 1", Error);
  CHECK_THROWS_WITH_AS(Batches(10, -5), "batches: batch size -5 is less than 1", Error);
  CHECK_THROWS_WITH_AS(Batches(-1, 5), "batches: count -1 is not in 0 to 2147483647", Error);
  CHECK_THROWS_WITH_AS(Batches(std::int64_t{1} << 31, 5),
                       "batches: count 2147483648 is not in 0 to 2147483647", Error);
  const Batches batches(7, 3);
  CHECK_THROWS_WITH_AS(batches[3], "batches: batch 3 is out of range for 3 batches", Error);
  CHECK_THROWS_WITH_AS(batches[-1], "batches: batch -1 is out of range for 3 batches", Error);
}
