// Draws digits: strokes, their distortion, and a pen on noisy paper.
#include "xgrad/data/digits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "xgrad/support/error.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::data {

namespace {

constexpr int kSide = 28;
constexpr int kPixels = kSide * kSide;
constexpr int kClasses = 10;

// A point, x to the right and y down.
struct Point {
  double x = 0, y = 0;
};

// A pen stroke: through its points in straight lines, or in one smooth curve.
struct Stroke {
  enum Kind { line, curve } kind;
  std::vector<int> points;  // x, y, x, y, ... in percent of the digit's width and height
};
using Glyph = std::vector<Stroke>;

// The ways in which people write each digit.
const std::array<std::vector<Glyph>, kClasses>& alphabet() {
  using enum Stroke::Kind;
  // clang-format off
  static const std::array<std::vector<Glyph>, kClasses> glyphs{{
      {{{curve, {52, 4, 24, 20, 13, 55, 30, 92, 60, 95, 86, 65, 80, 22, 48, 4}}},
       {{curve, {66, 12, 42, 5, 15, 35, 20, 82, 50, 97, 82, 70, 80, 25, 50, 10, 38, 20}}}},
      {{{line, {50, 3, 50, 97}}},
       {{line, {28, 27, 53, 3, 52, 97}}},
       {{line, {30, 25, 52, 4, 52, 95}}, {line, {26, 96, 76, 96}}}},
      {{{curve, {16, 27, 34, 6, 66, 7, 78, 29, 60, 57, 36, 78, 14, 94}}, {line, {14, 94, 88, 92}}},
       {{curve, {17, 22, 45, 3, 78, 22, 62, 58, 32, 90, 13, 87, 26, 72, 55, 86, 90, 93}}}},
      {{{curve, {17, 15, 45, 3, 76, 20, 64, 41, 38, 48}}, {curve, {38, 48, 70, 54, 82, 76, 52, 97, 14, 86}}},
       {{line, {18, 6, 78, 6, 44, 41}}, {curve, {44, 41, 76, 50, 82, 78, 48, 97, 14, 86}}}},
      {{{line, {26, 6, 16, 56, 86, 53}}, {line, {72, 8, 66, 97}}},
       {{line, {64, 97, 65, 3, 12, 66, 90, 64}}},
       {{curve, {22, 6, 16, 42, 34, 56, 62, 48, 78, 28}}, {line, {78, 6, 70, 97}}}},
      {{{line, {80, 6, 30, 7, 25, 43}}, {curve, {25, 43, 55, 36, 82, 60, 68, 90, 40, 97, 14, 86}}},
       {{curve, {80, 8, 46, 5, 24, 26, 44, 46, 74, 58, 72, 86, 42, 97, 14, 86}}}},
      {{{curve, {70, 5, 38, 25, 18, 62, 30, 92, 62, 94, 80, 72, 60, 53, 34, 60, 20, 76}}},
       {{curve, {46, 3, 26, 40, 20, 74, 42, 97, 74, 88, 72, 62, 46, 56, 24, 72}}}},
      {{{line, {14, 8, 84, 6, 42, 97}}},
       {{line, {16, 8, 84, 6, 40, 97}}, {line, {36, 50, 78, 47}}},
       {{line, {16, 24, 17, 8, 86, 6}}, {curve, {86, 6, 60, 44, 48, 97}}}},
      {{{curve, {74, 18, 50, 3, 26, 18, 42, 43, 70, 62, 74, 86, 47, 97, 20, 84, 34, 60, 64, 40, 75, 18}}},
       {{curve, {50, 3, 28, 20, 48, 45, 72, 22, 50, 3}}, {curve, {50, 47, 20, 72, 48, 97, 80, 74, 50, 47}}}},
      {{{curve, {76, 20, 50, 4, 22, 22, 32, 48, 60, 45, 77, 20}}, {line, {77, 20, 68, 97}}},
       {{curve, {76, 24, 48, 4, 20, 24, 34, 50, 66, 42, 78, 18, 80, 55, 62, 90, 28, 94}}}},
  }};
  // clang-format on
  return glyphs;
}

// The distortion of one digit: a random affine map from the unit square to the image, and a wave.
class Warp {
 public:
  explicit Warp(Generator& random) {
    const double angle = 0.13 * random.normal(), slant = 0.08 + 0.18 * random.normal();
    const double width = random.uniform(11, 19), height = random.uniform(17, 22);
    const double c = std::cos(angle), s = std::sin(angle);
    xx_ = c * width, xy_ = -(slant * c + s) * height;
    yx_ = s * width, yy_ = (c - slant * s) * height;
    center_ = {0.5 * kSide + 1.1 * random.normal(), 0.5 * kSide + 1.1 * random.normal()};
    wave_ = random.uniform(0, 0.05), phase_ = random.uniform(0, 2 * std::numbers::pi);
  }
  Point operator()(Point p) const {
    const double x = p.x - 0.5 + wave_ * std::sin(5 * p.y + phase_);
    const double y = p.y - 0.5 + wave_ * std::sin(5 * p.x + 2 * phase_);
    return {center_.x + xx_ * x + xy_ * y, center_.y + yx_ * x + yy_ * y};
  }

 private:
  double xx_, xy_, yx_, yy_;
  Point center_;
  double wave_, phase_;
};

// The paper: for each pixel the squared distance from its centre to the nearest stroke, within a reach.
class Paper {
 public:
  explicit Paper(double reach) : reach_(reach) { distance2_.fill(static_cast<float>(reach * reach)); }

  void draw_segment(Point a, Point b) {
    const int left = pixel(std::min(a.x, b.x) - reach_), right = pixel(std::max(a.x, b.x) + reach_ + 1);
    const int top = pixel(std::min(a.y, b.y) - reach_), bottom = pixel(std::max(a.y, b.y) + reach_ + 1);
    const auto dx = static_cast<float>(b.x - a.x), dy = static_cast<float>(b.y - a.y);
    const float per_length2 = 1 / std::max(dx * dx + dy * dy, 1e-6f);
    for (int row = top; row < bottom; ++row) {
      const float y = static_cast<float>(row) + 0.5f - static_cast<float>(a.y);
      for (int column = left; column < right; ++column) {
        const float x = static_cast<float>(column) + 0.5f - static_cast<float>(a.x);
        const float along = std::clamp((x * dx + y * dy) * per_length2, 0.f, 1.f);
        const float u = x - along * dx, v = y - along * dy;
        float& distance2 =
            distance2_[static_cast<std::size_t>(row) * kSide + static_cast<std::size_t>(column)];
        distance2 = std::min(distance2, u * u + v * v);
      }
    }
  }

  // A uniform Catmull-Rom spline through the points.
  void draw_curve(std::span<const Point> points) {
    constexpr int kSteps = 4;
    Point from = points.front();
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      const Point b = points[i], c = points[i + 1];
      const Point a = i > 0 ? points[i - 1] : b, d = i + 2 < points.size() ? points[i + 2] : c;
      for (int step = 1; step <= kSteps; ++step) {
        const double t = static_cast<double>(step) / kSteps;
        const auto at = [t](double p, double q, double r, double s) {
          return q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
        };
        const Point to{at(a.x, b.x, c.x, d.x), at(a.y, b.y, c.y, d.y)};
        draw_segment(from, to);
        from = to;
      }
    }
  }

  // Colours the pixels nearer than `radius`, with an edge of width `soft`. `ink` and `grain` are grey levels.
  void print(double radius, double soft, double ink, double grain, Generator& random,
             std::uint8_t* pixels) const {
    const auto slope = static_cast<float>(1 / soft), middle = static_cast<float>(radius / soft + 0.5);
    const auto level = static_cast<float>(ink), speck = static_cast<float>(grain / 128);
    std::uint32_t noise = 0;
    for (std::size_t i = 0; i < kPixels; ++i, noise >>= 8) {
      if (i % 4 == 0) noise = random.bits();
      const float cover = std::clamp(middle - slope * std::sqrt(distance2_[i]), 0.f, 1.f);
      const float grey = level * cover + speck * (static_cast<float>(noise & 255) - 128);
      pixels[i] = static_cast<std::uint8_t>(std::clamp(grey, 0.f, 255.f));
    }
  }

 private:
  static int pixel(double position) { return static_cast<int>(std::clamp(position, 0.0, double{kSide})); }

  double reach_;
  std::array<float, kPixels> distance2_;
};

void draw_digit(int digit, Generator& random, std::uint8_t* pixels) {
  const std::vector<Glyph>& ways = alphabet()[static_cast<std::size_t>(digit)];
  const Glyph& glyph = ways[random.below(static_cast<std::uint32_t>(ways.size()))];
  const Warp warp(random);
  const double radius = random.uniform(0.8, 1.9), soft = random.uniform(0.9, 1.6);
  const double tremble = random.uniform(0.01, 0.045);
  const double ink = random.uniform(190, 255), grain = random.uniform(0, 40);

  Paper paper(radius + soft);
  std::vector<Point> points;
  for (const Stroke& stroke : glyph) {
    points.clear();
    for (std::size_t i = 0; i < stroke.points.size(); i += 2) {
      const double x = 0.01 * stroke.points[i] + tremble * random.normal();
      const double y = 0.01 * stroke.points[i + 1] + tremble * random.normal();
      points.push_back(warp({x, y}));
    }
    if (stroke.kind == Stroke::curve) {
      paper.draw_curve(points);
    } else {
      for (std::size_t i = 0; i + 1 < points.size(); ++i) paper.draw_segment(points[i], points[i + 1]);
    }
  }
  paper.print(radius, soft, ink, grain, random, pixels);
}

}  // namespace

ImageSet draw_digits(std::int64_t count, std::uint64_t seed) {
  if (count < 0) throw Error(detail::text("draw_digits: count ", count, " is negative"));
  const auto size = static_cast<std::size_t>(count);
  ImageSet set{std::vector<std::uint8_t>(size * kPixels), std::vector<std::uint8_t>(size), kSide, kSide};
  for (std::size_t i = 0; i < size; ++i) set.labels[i] = static_cast<std::uint8_t>(i % kClasses);
  Generator random(seed);
  random.shuffle(std::span(set.labels));
  for (std::size_t i = 0; i < size; ++i) draw_digit(set.labels[i], random, set.pixels.data() + i * kPixels);
  return set;
}

}  // namespace xgrad::data
