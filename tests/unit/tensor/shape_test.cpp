// Shapes: text, broadcasting, axes.
#include "xgrad/tensor/shape.hpp"

#include <doctest/doctest.h>

#include <utility>

#include "xgrad/support/error.hpp"

using namespace xgrad;

// Iterators of a temporary would dangle.
template <class S>
concept GivesIterators =
    requires(S&& s) { std::forward<S>(s).begin(); } || requires(S&& s) { std::forward<S>(s).end(); };
static_assert(GivesIterators<const Shape&> && !GivesIterators<Shape> && !GivesIterators<const Shape>);

TEST_CASE("shape: rank, size and text") {
  CHECK(Shape{}.size() == 1);
  CHECK(Shape{}.text() == "[]");
  CHECK(Shape{50, 784}.text() == "[50, 784]");
  CHECK(Shape{3, 0, 2}.size() == 0);
  CHECK_THROWS_WITH_AS(Shape({2, -1}), "shape: extent -1 is negative", ShapeError);
  CHECK_THROWS_WITH_AS(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), "shape: more than 8 axes", ShapeError);
}

TEST_CASE("shape: broadcasting follows NumPy") {
  CHECK(broadcast({10, 1, 5}, {1, 10, 5}).shape == Shape{10, 10, 5});
  CHECK(broadcast({0, 1, 3}, {0, 10, 3}).shape == Shape{0, 10, 3});
  CHECK(broadcast({}, {5}).shape == Shape{5});
  CHECK(broadcast({5, 1}, {5}).shape == Shape{5, 5});
  CHECK(broadcast({1}, {0}).shape == Shape{0});
  CHECK_FALSE(broadcast({2}, {3}).ok);
  CHECK_FALSE(broadcast({0}, {3}).ok);
  CHECK(broadcasts_to({3}, {2, 3}));
  CHECK_FALSE(broadcasts_to({2, 3}, {3}));
}

TEST_CASE("shape: negative axes count from the back") {
  CHECK(normalize_axis("sum", -1, 3) == 2);
  CHECK_THROWS_WITH_AS(normalize_axis("sum", 3, 3), "sum: axis 3 is out of range for rank 3", ShapeError);
  CHECK_THROWS_WITH_AS(normalize_axis("sum", -1, 0), "sum: axis -1 is out of range for rank 0", ShapeError);
}
