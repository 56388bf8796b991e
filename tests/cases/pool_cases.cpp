// Rows of the case table: pooling.
#include "xgrad/ops/pool.hpp"

#include <limits>
#include <utility>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;
using naive::Values;

/// f of the elements of every window that are in the image.
template <class Options>
Array pool(const Array& x, const Options& o, const std::function<double(const Values&)>& f) {
  const std::int64_t step_y = o.stride.height ? o.stride.height : o.window.height,
                     step_x = o.stride.width ? o.stride.width : o.window.width;
  const auto places = [](std::size_t extent, std::int64_t window, std::int64_t step, std::int64_t margin) {
    std::int64_t count = 0;
    for (std::int64_t at = 0; at + window <= static_cast<std::int64_t>(extent) + 2 * margin; at += step)
      ++count;
    return static_cast<std::size_t>(count);
  };
  const Index shape{x.shape(0), x.shape(1), places(x.shape(2), o.window.height, step_y, o.padding.height),
                    places(x.shape(3), o.window.width, step_x, o.padding.width)};
  return naive::generate(shape, [&](const Index& i) {
    Values values;
    for (std::int64_t dy = 0; dy < o.window.height; ++dy) {
      for (std::int64_t dx = 0; dx < o.window.width; ++dx) {
        const std::int64_t row = static_cast<std::int64_t>(i[2]) * step_y + dy - o.padding.height,
                           column = static_cast<std::int64_t>(i[3]) * step_x + dx - o.padding.width;
        if (std::cmp_less(row, 0) || std::cmp_greater_equal(row, x.shape(2)) || std::cmp_less(column, 0) ||
            std::cmp_greater_equal(column, x.shape(3)))
          continue;
        values.push_back(x(i[0], i[1], static_cast<std::size_t>(row), static_cast<std::size_t>(column)));
      }
    }
    return f(values);
  });
}

const std::vector<Shapes> sets = {
    {{1, 1, 4, 4}}, {{2, 3, 5, 7}}, {{0, 2, 4, 4}}, {{2, 0, 4, 4}}, {{3, 2, 24, 23}}};

OpCase max_case(const char* name, const MaxPool2dOptions& options) {
  return {.name = name,
          .f = [=](Vars x) { return max_pool2d(x[0], options); },
          .reference = [=](const Arrays& x) { return pool(x[0], options, naive::max); },
          .sets = sets,
          .domains = {distinct}};
}

OpCase avg_case(const char* name, const AvgPool2dOptions& options) {
  const std::int64_t all = options.window.height * options.window.width;
  const bool include = options.count_include_pad;
  return {.name = name,
          .f = [=](Vars x) { return avg_pool2d(x[0], options); },
          .reference =
              [=](const Arrays& x) {
                return pool(x[0], options, [&](const Values& v) {
                  return naive::sum(v) /
                         static_cast<double>(include ? static_cast<std::size_t>(all) : v.size());
                });
              },
          .sets = sets};
}

/// Errors that both poolings have; call(x, window, stride, padding).
std::vector<ErrorCase> pool_errors(
    const std::string& name, const std::function<void(const Var&, Extent2d, Extent2d, Extent2d)>& call) {
  const auto bad = [&](const Shape& x, Extent2d window, Extent2d stride, Extent2d padding, const char* text) {
    return fails_when<ShapeError>([=](Tape& t) { call(ones(t, x), window, stride, padding); },
                                  name + ": " + text);
  };
  return {bad({4, 4}, 2, 2, 0, "x is [N, C, H, W], not [4, 4]"),
          bad({1, 1, 4, 4}, {0, 2}, 1, 0, "window {0, 2} must be at least 1"),
          bad({1, 1, 4, 4}, 2, {1, -1}, 0, "stride {1, -1} must be at least 1"),
          bad({1, 1, 4, 4}, 2, 0, {0, -1}, "padding {0, -1} must be at least 0"),
          bad({1, 1, 4, 4}, 3, 0, 2, "padding {2, 2} must be at most half the window {3, 3}"),
          bad({1, 1, 4, 4}, {2, 5}, 0, 0, "the window {2, 5} does not fit into x [1, 1, 4, 4]"),
          bad({1, 1, 0, 4}, 2, 0, 1, "the window {2, 2} does not fit into x [1, 1, 0, 4]"),
          fails_when<DTypeError>(
              [=](Tape& t) {
                call(ones(t, {1, 1, 2, 2}, DType::int64), 2, 0, 0);
              },
              name + ": operand 0 is int64, not floating")};
}

}  // namespace

std::vector<OpCase> pool_cases() {
  return {
      with_errors(max_case("max_pool2d", {.window = 2}),
                  pool_errors("max_pool2d",
                              [](const Var& x, Extent2d window, Extent2d stride, Extent2d padding) {
                                max_pool2d(x, {window, stride, padding});
                              })),
      max_case("max_pool2d of windows that overlap", {.window = {3, 2}, .stride = {2, 1}, .padding = 1}),
      max_case("max_pool2d of windows apart", {.window = {1, 2}, .stride = 3}),
      with_errors(avg_case("avg_pool2d", {.window = 2}),
                  pool_errors("avg_pool2d",
                              [](const Var& x, Extent2d window, Extent2d stride, Extent2d padding) {
                                avg_pool2d(x, {window, stride, padding});
                              })),
      avg_case("avg_pool2d of windows that overlap", {.window = {3, 2}, .stride = {2, 1}, .padding = 1}),
      avg_case("avg_pool2d of what is in the image",
               {.window = {3, 2}, .stride = 1, .padding = 1, .count_include_pad = false}),
  };
}

}  // namespace xgrad::cases
