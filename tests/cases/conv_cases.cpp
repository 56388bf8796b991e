// Rows of the case table: convolutions.
#include "xgrad/ops/conv.hpp"

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;

/// What a window does along one axis.
struct Axis {
  std::size_t stride = 1, padding = 0, dilation = 1;
};

/// Calls body(n, o, y, x, c, i, j, row, column) for every product that a convolution adds up: the output's
/// place, the weight's, and the image's row and column, in the margin left out.
void for_each_product(
    const Array& image, const Array& w, const Index& out, const Axis& v, const Axis& h,
    const std::function<void(const Index& at, const Index& weight, const Index& result)>& body) {
  const std::size_t group_outputs = out[1] * w.shape(1) / std::max<std::size_t>(1, image.shape(1));
  naive::generate(out, [&](const Index& y) {
    naive::generate({w.shape(1), w.shape(2), w.shape(3)}, [&](const Index& k) {
      const std::size_t row = y[2] * v.stride + k[1] * v.dilation,
                        column = y[3] * h.stride + k[2] * h.dilation;
      const std::size_t channel = y[1] / group_outputs * w.shape(1) + k[0];
      if (row >= v.padding && row < image.shape(2) + v.padding && column >= h.padding &&
          column < image.shape(3) + h.padding) {
        body({y[0], channel, row - v.padding, column - h.padding}, {y[1], k[0], k[1], k[2]}, y);
      }
      return 0.0;
    });
    return 0.0;
  });
}

std::size_t places(std::size_t extent, std::size_t window, const Axis& a) {
  std::size_t count = 0;
  for (std::size_t last = a.dilation * (window - 1); last < extent + 2 * a.padding; last += a.stride) ++count;
  return count;
}

double& element(Array& x, const Index& i) { return x.element(i.begin(), i.end()); }
double element(const Array& x, const Index& i) { return x.element(i.begin(), i.end()); }

Array conv(const Arrays& x, const Axis& v, const Axis& h) {
  const Array &image = x[0], &w = x[1];
  const Index shape{image.shape(0), w.shape(0), places(image.shape(2), w.shape(2), v),
                    places(image.shape(3), w.shape(3), h)};
  Array y = naive::generate(shape, [&](const Index& i) { return x.size() > 2 ? x[2](i[1]) : 0; });
  for_each_product(image, w, shape, v, h, [&](const Index& at, const Index& weight, const Index& result) {
    element(y, result) += element(image, at) * element(w, weight);
  });
  return y;
}

Array transposed(const Arrays& x, const Axis& v, const Axis& h, std::size_t groups, std::size_t further) {
  const Array &u = x[0], &w = x[1];
  const auto extent = [&](std::size_t axis, const Axis& a) {
    return (u.shape(axis) - 1) * a.stride + a.dilation * (w.shape(axis) - 1) + 1 + further - 2 * a.padding;
  };
  Array image = naive::generate({u.shape(0), w.shape(1) * groups, extent(2, v), extent(3, h)},
                                [&](const Index& i) { return x.size() > 2 ? x[2](i[1]) : 0; });
  const Array blank = image;
  for_each_product(blank, w, naive::extents(u), v, h,
                   [&](const Index& at, const Index& weight, const Index& result) {
                     element(image, at) += element(u, result) * element(w, weight);
                   });
  return image;
}

Array with_height(const Array& x) { return naive::reshape(x, {x.shape(0), x.shape(1), 1, x.shape(2)}); }

Var bias_of(Vars x) { return x.size() > 2 ? x[2] : Var(); }

OpCase conv2d_case(const char* name, const Conv2dOptions& options, const std::vector<Shapes>& sets) {
  const auto axis = [&](std::int64_t Extent2d::*side) {
    return Axis{static_cast<std::size_t>(options.stride.*side),
                static_cast<std::size_t>(options.padding.*side),
                static_cast<std::size_t>(options.dilation.*side)};
  };
  return {.name = name,
          .f = [=](Vars x) { return conv2d(x[0], x[1], bias_of(x), options); },
          .reference = [v = axis(&Extent2d::height),
                        h = axis(&Extent2d::width)](const Arrays& x) { return conv(x, v, h); },
          .sets = sets};
}

OpCase transpose_case(const char* name, const ConvTranspose2dOptions& options,
                      const std::vector<Shapes>& sets) {
  const Axis axis{static_cast<std::size_t>(options.stride.height),
                  static_cast<std::size_t>(options.padding.height),
                  static_cast<std::size_t>(options.dilation.height)};
  return {.name = name,
          .f = [=](Vars x) { return conv_transpose2d(x[0], x[1], bias_of(x), options); },
          .reference =
              [=](const Arrays& x) {
                return transposed(x, axis, axis, static_cast<std::size_t>(options.groups),
                                  static_cast<std::size_t>(options.output_padding.height));
              },
          .sets = sets};
}

template <class Options>
ErrorCase no_conv2d(const Options& options, const std::string& message) {
  return fails_when<ShapeError>(
      [=](Tape& t) {
        conv2d(ones(t, {2, 2, 4, 4}), ones(t, {2, 2, 3, 3}), {}, options);
      },
      "conv2d: " + message);
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> conv_cases() {
  return {
      with_errors(
          conv2d_case("conv2d", {},
                      {{{1, 1, 3, 3}, {1, 1, 2, 2}},
                       {{2, 3, 5, 4}, {2, 3, 3, 2}, {2}},
                       {{2, 2, 3, 3}, {3, 2, 3, 3}, {3}},
                       {{0, 2, 3, 3}, {3, 2, 2, 2}, {3}},
                       {{2, 0, 3, 3}, {3, 0, 2, 2}, {3}},
                       {{2, 2, 3, 3}, {0, 2, 2, 2}, {0}},
                       {{19, 2, 4, 5}, {3, 2, 2, 3}, {3}},        // several images a share
                       {{2, 1, 28, 23}, {4, 1, 5, 5}, {4}},
                       {{1, 8, 40, 40}, {2, 8, 5, 5}, {2}}}),     // several blocks an image
          {fails<ShapeError>({{2, 3, 3}, {2, 3, 3, 3}},
                             "conv2d: x [2, 3, 3] and w [2, 3, 3, 3] do not fit; x is [N, C, H, W], "
                             "w [O, C / groups, kh, kw]"),
           fails<ShapeError>({{2, 3, 4, 4}, {2, 2, 3, 3}},
                             "conv2d: x [2, 3, 4, 4] and w [2, 2, 3, 3] do not fit with 1 groups; "
                             "x is [N, C, H, W], w [O, C / groups, kh, kw]"),
           fails<ShapeError>({{2, 2, 4, 4}, {2, 2, 3, 3}, {3}}, "conv2d: bias [3] must be [2]"),
           fails<ShapeError>({{2, 2, 4, 4}, {2, 2, 5, 3}},
                             "conv2d: the window of w [2, 2, 5, 3] does not fit into x [2, 2, 4, 4]"),
           fails<ShapeError>({{2, 2, 4, 4}, {2, 2, 0, 3}}, "conv2d: no window in w [2, 2, 0, 3]"),
           no_conv2d(Conv2dOptions{.stride = 0}, "stride {0, 0} must be at least 1"),
           no_conv2d(Conv2dOptions{.padding = {1, -1}}, "padding {1, -1} must be at least 0"),
           no_conv2d(Conv2dOptions{.dilation = {0, 1}}, "dilation {0, 1} must be at least 1"),
           no_conv2d(Conv2dOptions{.groups = 0}, "groups 0 must be at least 1"),
           no_conv2d(Conv2dOptions{.groups = 2},
                     "x [2, 2, 4, 4] and w [2, 2, 3, 3] do not fit with 2 groups; x is [N, C, H, W], "
                     "w [O, C / groups, kh, kw]"),
           fails_when<DTypeError>(
               [](Tape& t) { conv2d(ones(t, {1, 1, 2, 2}), ones(t, {1, 1, 2, 2}, DType::float32)); },
               "conv2d: dtypes differ, float64 and float32"),
           fails_when<DTypeError>(
               [](Tape& t) { conv2d(ones(t, {1, 1, 2, 2}, DType::int64), ones(t, {1, 1, 2, 2})); },
               "conv2d: operand 0 is int64, not floating")}),
      conv2d_case("conv2d with all options", {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2},
                  {{{1, 2, 4, 4}, {2, 1, 2, 3}},
                   {{2, 4, 5, 6}, {6, 2, 3, 2}, {6}},
                   {{3, 4, 7, 9}, {2, 2, 1, 1}, {2}}}),
      conv2d_case("conv2d with a wide margin", {.stride = 3, .padding = 4},
                  {{{1, 1, 2, 1}, {1, 1, 3, 2}}, {{2, 2, 23, 5}, {3, 2, 3, 3}, {3}}}),
      conv2d_case("conv2d of single pixels", {},
                  {{{2, 3, 2, 3}, {2, 3, 1, 1}}, {{1, 4, 23, 1}, {5, 4, 1, 1}, {5}}}),
      conv2d_case("conv2d of single pixels in groups", {.groups = 2}, {{{3, 4, 2, 3}, {2, 2, 1, 1}, {2}}}),
      conv2d_case("conv2d of single channels", {.padding = 1, .groups = 3}, {{{2, 3, 4, 4}, {3, 1, 3, 3}, {3}}}),
      {.name = "conv1d",
       .f = [](Vars x) { return conv1d(x[0], x[1], bias_of(x), {.stride = 2, .padding = 1, .dilation = 2}); },
       .reference = [](const Arrays& x) {
         Arrays flat{with_height(x[0]), with_height(x[1])};
         if (x.size() > 2) flat.push_back(x[2]);
         const Array y = conv(flat, {}, {2, 1, 2});
         return naive::reshape(y, {y.shape(0), y.shape(1), y.shape(3)});
       },
       .sets = {{{2, 3, 8}, {2, 3, 3}, {2}}, {{1, 1, 2}, {1, 1, 1}}, {{2, 2, 50}, {4, 2, 5}}},
       .errors = {fails<ShapeError>({{2, 3, 8, 1}, {2, 3, 3}},
                                    "conv1d: x [2, 3, 8, 1] and w [2, 3, 3] do not fit; x is [N, C, L], "
                                    "w [O, C / groups, k]")}},
      with_errors(
          transpose_case("conv_transpose2d", {},
                         {{{1, 1, 2, 2}, {1, 1, 2, 2}},
                          {{2, 3, 3, 2}, {3, 2, 3, 2}, {2}},
                          {{2, 3, 4, 3}, {3, 2, 1, 1}, {2}},
                          {{0, 3, 3, 2}, {3, 2, 3, 2}, {2}},
                          {{19, 2, 3, 4}, {2, 3, 2, 2}},
                          {{1, 2, 36, 36}, {2, 8, 5, 5}}}),
          {fails<ShapeError>({{2, 3, 3}, {3, 3, 3, 3}},
                             "conv_transpose2d: x [2, 3, 3] and w [3, 3, 3, 3] do not fit; x is [N, C, H, W], "
                             "w [C, O / groups, kh, kw]"),
           fails<ShapeError>({{2, 3, 4, 4}, {2, 2, 3, 3}},
                             "conv_transpose2d: x [2, 3, 4, 4] and w [2, 2, 3, 3] do not fit with 1 groups; "
                             "x is [N, C, H, W], w [C, O / groups, kh, kw]"),
           fails<ShapeError>({{2, 2, 4, 4}, {2, 3, 3, 3}, {2}}, "conv_transpose2d: bias [2] must be [3]"),
           fails<ShapeError>({{2, 2, 0, 4}, {2, 3, 3, 3}},
                             "conv_transpose2d: nothing is left of x [2, 2, 0, 4] with w [2, 3, 3, 3]"),
           fails_when<ShapeError>(
               [](Tape& t) {
                 conv_transpose2d(ones(t, {1, 1, 2, 2}), ones(t, {1, 1, 2, 2}), {}, {.output_padding = {0, 1}});
               },
               "conv_transpose2d: output_padding {0, 1} must be at least 0 and less than the stride {1, 1}")}),
      transpose_case("conv_transpose2d with all options",
                     {.stride = 3, .padding = 1, .dilation = 2, .output_padding = 2, .groups = 2},
                     {{{2, 4, 2, 3}, {4, 1, 2, 3}, {2}}, {{1, 2, 3, 3}, {2, 2, 3, 2}, {4}}}),
  };
}

}  // namespace xgrad::cases
