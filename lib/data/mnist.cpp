// Finds and loads the four files of MNIST.
#include "xgrad/data/mnist.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include "xgrad/io/idx.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::data {

namespace fs = std::filesystem;
using detail::text;

namespace {

constexpr int kClasses = 10;
constexpr std::array kNames{"train-images-idx3-ubyte", "train-labels-idx1-ubyte",  //
                            "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
// Offsets in the files: the number of items, the size of an image, the first label.
constexpr std::int64_t kCountOffset = 4, kSizeOffset = 8, kLabelsOffset = 8;

std::optional<fs::path> find_file(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    std::error_code ignored;
    if (fs::path file = folder / (name + suffix); fs::is_regular_file(file, ignored)) return file;
  }
  return std::nullopt;
}

fs::path require_file(const fs::path& folder, const char* name) {
  if (auto file = find_file(folder, name)) return *std::move(file);
  throw IoError(text("mnist: ", folder.string(), ": expected ", name, " or ", name, ".gz, found neither"));
}

template <class Expected, class Found>
[[noreturn]] void fail(const fs::path& file, std::int64_t offset, const Expected& expected,
                       const Found& found) {
  throw IoError(
      text("mnist: ", file.string(), ": offset ", offset, ": expected ", expected, ", found ", found));
}

ImageSet load_set(const fs::path& image_file, const fs::path& label_file) {
  io::IdxFile images = io::read_idx(image_file, {.type = io::IdxType::u8, .rank = 3});
  io::IdxFile labels = io::read_idx(label_file, {.type = io::IdxType::u8, .rank = 1});
  const std::int64_t count = images.extents[0];
  if (images.extents.size() == 0) fail(image_file, kCountOffset, "images with pixels", images.extents);
  if (labels.extents[0] != count) {
    fail(label_file, kCountOffset, text(count, " labels, one per image"), labels.extents[0]);
  }
  const auto bad =
      std::find_if(labels.data.begin(), labels.data.end(), [](int label) { return label >= kClasses; });
  if (bad != labels.data.end()) {
    fail(label_file, kLabelsOffset + (bad - labels.data.begin()), text("a label of 0 to ", kClasses - 1),
         int{*bad});
  }
  return {std::move(images.data), std::move(labels.data), images.extents[1], images.extents[2]};
}

// The value of an environment variable; empty when it is not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value != nullptr ? value : "";
}

}  // namespace

Mnist load_mnist(const fs::path& folder) {
  std::array<fs::path, kNames.size()> files;
  for (std::size_t i = 0; i < files.size(); ++i) files[i] = require_file(folder, kNames[i]);
  Mnist mnist{load_set(files[0], files[1]), load_set(files[2], files[3]), kClasses};
  const ImageSet &train = mnist.train, &test = mnist.test;
  if (test.height != train.height || test.width != train.width) {
    fail(files[2], kSizeOffset,
         text("images of ", train.height, " x ", train.width, ", as in the training set"),
         text(test.height, " x ", test.width));
  }
  return mnist;
}

std::vector<fs::path> mnist_folders() {
  std::vector<fs::path> folders;
  if (const std::string data = environment("XGRAD_DATA"); !data.empty()) folders.emplace_back(data);
  fs::path cache = environment("XDG_CACHE_HOME");
  if (!cache.is_absolute()) {  // the XDG specification says to ignore relative paths
    const std::string home = environment("HOME");
    cache = home.empty() ? fs::path() : fs::path(home) / ".cache";
  }
  if (!cache.empty()) folders.push_back(cache / "xgrad" / "mnist");
  return folders;
}

std::optional<fs::path> find_mnist() {
  for (const fs::path& folder : mnist_folders()) {
    const auto is_there = [&](const char* name) { return find_file(folder, name).has_value(); };
    if (std::all_of(kNames.begin(), kNames.end(), is_there)) return folder;
  }
  return std::nullopt;
}

}  // namespace xgrad::data
