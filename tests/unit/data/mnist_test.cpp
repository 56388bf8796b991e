// Reading MNIST, from small files and damaged ones.
#include "xgrad/data/mnist.hpp"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdlib>
#include <map>
#include <string>

#include "tests/unit/io/temporary_files.hpp"
#include "xgrad/support/error.hpp"

using namespace xgrad;
using namespace xgrad::data;
using namespace xgrad::test;
namespace fs = std::filesystem;

// The tests run on one thread.
// NOLINTBEGIN(concurrency-mt-unsafe)

namespace {

const std::string kTrainImages = "train-images-idx3-ubyte", kTrainLabels = "train-labels-idx1-ubyte";
const std::string kTestImages = "t10k-images-idx3-ubyte", kTestLabels = "t10k-labels-idx1-ubyte";

Bytes images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  Bytes pixels(std::size_t{count} * height * width);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i);
  return idx_bytes(0x08, {count, height, width}, pixels);
}

Bytes labels(const Bytes& classes) {
  return idx_bytes(0x08, {static_cast<std::uint32_t>(classes.size())}, classes);
}

// A folder with three images of 2 x 4 to train with and two to test with.
TemporaryFolder& fill(TemporaryFolder& folder) {
  folder.write(kTrainImages, images(3, 2, 4));
  folder.write(kTrainLabels + ".gz", gzip(labels({9, 0, 5})));
  folder.write(kTestImages + ".gz", gzip(images(2, 2, 4)));
  folder.write(kTestLabels, labels({1, 2}));
  return folder;
}

void check_rejected(const TemporaryFolder& folder, const std::string& text) {
  CHECK_THROWS_WITH_AS(load_mnist(folder.path()), text.c_str(), IoError);
}

// Sets environment variables, or unsets those with an empty value, and restores them at the end of its scope.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& values) {
    for (const auto& [name, value] : values) {
      const char* old = getenv(name.c_str());
      old_[name] = old != nullptr ? old : "";
      set(name, value);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : old_) set(name, value);
  }

 private:
  static void set(const std::string& name, const std::string& value) {
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
  }
  std::map<std::string, std::string> old_;
};

std::uint32_t crc32_of(const Bytes& bytes) {
  return static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size())));
}

}  // namespace

TEST_CASE("mnist: plain and compressed files, the plain ones preferred") {
  TemporaryFolder folder;
  fill(folder);
  folder.write(kTestLabels + ".gz", {0x1f, 0x8b, 'n', 'o', 't', ' ', 'r', 'e', 'a', 'd'});
  const Mnist mnist = load_mnist(folder.path());
  CHECK(mnist.classes == 10);
  CHECK(mnist.train.size() == 3);
  CHECK(mnist.train.height == 2);
  CHECK(mnist.train.width == 4);
  CHECK(mnist.train.features() == 8);
  CHECK(mnist.train.labels == Bytes{9, 0, 5});
  CHECK(mnist.test.size() == 2);
  CHECK(mnist.test.pixels.size() == 16);
  CHECK(mnist.test.pixels[15] == 15);
  CHECK(mnist.test.labels == Bytes{1, 2});
}

TEST_CASE("mnist rejects: a missing file, a missing folder") {
  TemporaryFolder folder;
  fill(folder);
  fs::remove(folder / kTestLabels);
  check_rejected(folder, "mnist: " + folder.path().string() +
                             ": expected t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz, found neither");
  CHECK_THROWS_WITH_AS(load_mnist("no/such/folder"),
                       "mnist: no/such/folder: expected train-images-idx3-ubyte or "
                       "train-images-idx3-ubyte.gz, found neither",
                       IoError);
}

TEST_CASE("mnist rejects: images and labels swapped") {
  TemporaryFolder folder;
  fill(folder);
  folder.write(kTrainImages, labels({9, 0, 5}));
  check_rejected(folder,
                 "idx: " + (folder / kTrainImages).string() + ": offset 3: expected 3 dimensions, found 1");
  fill(folder);
  folder.write(kTestLabels, images(2, 2, 4));
  check_rejected(folder,
                 "idx: " + (folder / kTestLabels).string() + ": offset 3: expected 1 dimensions, found 3");
}

TEST_CASE("mnist rejects: elements that are not bytes") {
  TemporaryFolder folder;
  fill(folder);
  folder.write(kTestLabels, idx_bytes(0x0c, {2}, Bytes(8)));
  check_rejected(folder, "idx: " + (folder / kTestLabels).string() +
                             ": offset 2: expected elements of type u8, found i32");
}

TEST_CASE("mnist rejects: counts of images and labels that differ") {
  TemporaryFolder folder;
  fill(folder).write(kTestLabels, labels({1, 2, 3}));
  check_rejected(folder, "mnist: " + (folder / kTestLabels).string() +
                             ": offset 4: expected 2 labels, one per image, found 3");
}

TEST_CASE("mnist rejects: a label outside the classes, compressed or not") {
  TemporaryFolder folder;
  fill(folder).write(kTestLabels, labels({9, 10}));
  check_rejected(folder, "mnist: " + (folder / kTestLabels).string() +
                             ": offset 9: expected a label of 0 to 9, found 10");
  fill(folder).write(kTrainLabels + ".gz", gzip(labels({0, 1, 255})));
  check_rejected(folder, "mnist: " + (folder / (kTrainLabels + ".gz")).string() +
                             ": offset 10: expected a label of 0 to 9, found 255");
}

TEST_CASE("mnist rejects: images of different sizes in the two sets") {
  TemporaryFolder folder;
  fill(folder).write(kTestImages + ".gz", gzip(images(2, 4, 2)));
  check_rejected(folder, "mnist: " + (folder / (kTestImages + ".gz")).string() +
                             ": offset 8: expected images of 2 x 4, as in the training set, found 4 x 2");
}

TEST_CASE("mnist rejects: no images, or images without pixels") {
  TemporaryFolder folder;
  fill(folder).write(kTrainImages, images(0, 28, 28));
  check_rejected(folder, "mnist: " + (folder / kTrainImages).string() +
                             ": offset 4: expected images with pixels, found [0, 28, 28]");
}

TEST_CASE("mnist rejects: damage in any file") {
  TemporaryFolder folder;
  fill(folder);
  Bytes cut = gzip(images(2, 2, 4));
  cut.pop_back();
  folder.write(kTestImages + ".gz", cut);
  check_rejected(folder, "idx: " + (folder / (kTestImages + ".gz")).string() + ": compressed offset " +
                             std::to_string(cut.size()) +
                             ": expected more of the gzip stream, found the end of the file");
}

TEST_CASE("mnist: where it is looked for") {
  {
    const Environment environment({{"XGRAD_DATA", "/a"}, {"XDG_CACHE_HOME", "/b"}, {"HOME", "/c"}});
    CHECK(mnist_folders() == std::vector<fs::path>{"/a", "/b/xgrad/mnist"});
  }
  {
    const Environment environment({{"XGRAD_DATA", ""}, {"XDG_CACHE_HOME", ""}, {"HOME", "/c"}});
    CHECK(mnist_folders() == std::vector<fs::path>{"/c/.cache/xgrad/mnist"});
  }
  {
    const Environment environment({{"XGRAD_DATA", ""}, {"XDG_CACHE_HOME", "relative"}, {"HOME", "/c"}});
    CHECK(mnist_folders() == std::vector<fs::path>{"/c/.cache/xgrad/mnist"});
  }
  const Environment environment({{"XGRAD_DATA", ""}, {"XDG_CACHE_HOME", ""}, {"HOME", ""}});
  CHECK(mnist_folders().empty());
  CHECK_FALSE(find_mnist().has_value());
}

TEST_CASE("mnist: found in the first folder that has all four files") {
  TemporaryFolder data, cache;
  const Environment environment({{"XGRAD_DATA", data.path()}, {"XDG_CACHE_HOME", cache.path()}});
  CHECK_FALSE(find_mnist().has_value());

  TemporaryFolder files;
  fill(files);
  fs::create_directories(cache / "xgrad");
  fs::copy(files.path(), cache / "xgrad/mnist");
  CHECK(find_mnist() == cache / "xgrad/mnist");

  fill(data);
  CHECK(find_mnist() == data.path());
  fs::remove(data / kTestLabels);
  CHECK(find_mnist() == cache / "xgrad/mnist");
}

// The numbers were computed from the published files with another program.
TEST_CASE("mnist: the real files") {
  const char* folder = getenv("XGRAD_TEST_MNIST");
  if (folder == nullptr || *folder == '\0') {
    MESSAGE("skipped: mnist: the real files; set XGRAD_TEST_MNIST to their folder");
    return;
  }
  const Mnist mnist = load_mnist(folder);
  CHECK(mnist.train.size() == 60000);
  CHECK(mnist.test.size() == 10000);
  CHECK(mnist.train.features() == 784);
  CHECK(mnist.test.height == 28);
  CHECK(crc32_of(mnist.train.pixels) == 0xf3639b56);
  CHECK(crc32_of(mnist.train.labels) == 0xba07e8ef);
  CHECK(crc32_of(mnist.test.pixels) == 0xe4ca5f57);
  CHECK(crc32_of(mnist.test.labels) == 0xee8604d9);
}

// NOLINTEND(concurrency-mt-unsafe)
