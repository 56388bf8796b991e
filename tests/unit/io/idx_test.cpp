// Reading idx files, plain, compressed and damaged.
#include "xgrad/io/idx.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/unit/io/temporary_files.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/random.hpp"

using namespace xgrad;
using namespace xgrad::io;
using namespace xgrad::test;

namespace {

// Reads `bytes` as a file, which must fail with exactly this text after `idx: FILE: `.
void check_rejected(const Bytes& bytes, const std::string& text, const IdxOptions& options = {}) {
  const TemporaryFolder folder;
  const auto file = folder.write("images", bytes);
  const std::string expected = "idx: " + file.string() + ": " + text;
  CHECK_THROWS_WITH_AS(read_idx(file, options), expected.c_str(), IoError);
}

IdxFile read_bytes(const Bytes& bytes, const IdxOptions& options = {}) {
  const TemporaryFolder folder;
  return read_idx(folder.write("images", bytes), options);
}

Bytes joined(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes first(const Bytes& bytes, std::size_t count) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count)};
}

// A gzip header and one stored block that claims `length` bytes and holds `data`.
Bytes stored_gzip(std::uint16_t length, const Bytes& data) {
  const auto low = static_cast<std::uint8_t>(length & 255), high = static_cast<std::uint8_t>(length >> 8);
  const Bytes header{0x1f,
                     0x8b,
                     8,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0,
                     255,
                     1,
                     low,
                     high,
                     static_cast<std::uint8_t>(~low),
                     static_cast<std::uint8_t>(~high)};
  return joined(header, data);
}

const Bytes kSmall = idx_bytes(0x08, {2, 3}, {1, 2, 3, 4, 5, 255});

}  // namespace

TEST_CASE("idx: plain and gzip files hold the same") {
  for (const Bytes& bytes : {kSmall, gzip(kSmall)}) {
    const IdxFile file = read_bytes(bytes, {.type = IdxType::u8, .rank = 2, .max_bytes = 6});
    CHECK(file.type == IdxType::u8);
    CHECK(file.extents == Shape{2, 3});
    CHECK(file.data == Bytes{1, 2, 3, 4, 5, 255});
    CHECK(file.as<std::uint8_t>()[5] == 255);
  }
}

TEST_CASE("idx: every element type comes in host byte order") {
  CHECK(read_bytes(idx_bytes(0x09, {2}, {0xff, 0x80})).as<std::int8_t>()[1] == -128);
  const IdxFile i16 = read_bytes(idx_bytes(0x0b, {2}, {0x01, 0x02, 0xff, 0xfe}));
  CHECK(i16.as<std::int16_t>()[0] == 258);
  CHECK(i16.as<std::int16_t>()[1] == -2);
  CHECK(read_bytes(idx_bytes(0x0c, {1}, {0x80, 0, 0, 1})).as<std::int32_t>()[0] == -2147483647);
  const IdxFile f32 = read_bytes(gzip(idx_bytes(0x0d, {1, 2}, {0x3f, 0xc0, 0, 0, 0xff, 0x80, 0, 0})));
  CHECK(f32.as<float>()[0] == 1.5f);
  CHECK(f32.as<float>()[1] == -INFINITY);
  const IdxFile f64 = read_bytes(idx_bytes(0x0e, {1}, {0xc0, 0x04, 0, 0, 0, 0, 0, 0}));
  CHECK(f64.as<double>().size() == 1);
  CHECK(f64.as<double>()[0] == -2.5);
  CHECK_THROWS_WITH_AS(f64.as<float>(), "idx: elements of type f32 asked of a file of f64", DTypeError);
}

TEST_CASE("idx: elements of a temporary file are a copy") {
  const auto elements = read_bytes(idx_bytes(0x0b, {2}, {0x01, 0x02, 0xff, 0xfe})).as<std::int16_t>();
  static_assert(std::is_same_v<decltype(elements), const std::vector<std::int16_t>>);
  CHECK(elements == std::vector<std::int16_t>{258, -2});
  CHECK_THROWS_AS(read_bytes(kSmall).as<float>(), DTypeError);
}

TEST_CASE("idx: 1 to 8 dimensions, empty ones included") {
  CHECK(read_bytes(idx_bytes(0x08, {1, 1, 1, 1, 1, 1, 1, 2}, {7, 8})).extents ==
        Shape{1, 1, 1, 1, 1, 1, 1, 2});
  CHECK(read_bytes(idx_bytes(0x08, {0, 28, 28}, {})).extents == Shape{0, 28, 28});
  CHECK(read_bytes(gzip(idx_bytes(0x0e, {0, 0xffffffff, 0xffffffff, 0xffffffff}, {}))).data.empty());
}

TEST_CASE("idx: larger than every buffer on the way") {
  Bytes data(300000);
  Generator random(5);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(random.bits());  // does not compress
  const Bytes bytes = idx_bytes(0x08, {300, 1000}, data);
  CHECK(read_bytes(bytes).data == data);
  CHECK(read_bytes(gzip(bytes)).data == data);
}

TEST_CASE("idx rejects: a missing file") {
  const TemporaryFolder folder;
  const std::string text = "idx: " + (folder / "none").string() + ": offset 0: expected a file, found none";
  CHECK_THROWS_WITH_AS(read_idx(folder / "none"), text.c_str(), IoError);
}

TEST_CASE("idx rejects: a folder") {
  const TemporaryFolder folder;
  const std::string text = "idx: " + folder.path().string() + ": offset 0: expected a file, found a folder";
  CHECK_THROWS_WITH_AS(read_idx(folder.path()), text.c_str(), IoError);
}

TEST_CASE("idx rejects: a pipe, without waiting for a writer") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const std::string text = "idx: " + (folder / "pipe").string() +
                           ": offset 0: expected a regular file, found a device, pipe or socket";
  CHECK_THROWS_WITH_AS(read_idx(folder / "pipe"), text.c_str(), IoError);
}

TEST_CASE("idx rejects: a path that no file can have") {
  const std::string name(5000, 'x');
  const std::string text = "idx: " + name + ": offset 0: expected a readable file, found File name too long";
  CHECK_THROWS_WITH_AS(read_idx(name), text.c_str(), IoError);
}

TEST_CASE("idx rejects: an empty file") {
  check_rejected({}, "offset 0: expected a header, found an empty file");
  check_rejected(gzip({}), "offset 0: expected 4 bytes of header, found 0");
}

TEST_CASE("idx rejects: a short header") {
  check_rejected(first(kSmall, 3), "offset 0: expected 4 bytes of header, found 3");
  check_rejected(first(kSmall, 11), "offset 4: expected 8 bytes of extents, found 7");
  check_rejected(gzip(first(kSmall, 11)), "offset 4: expected 8 bytes of extents, found 7");
}

TEST_CASE("idx rejects: first bytes that are not zero") {
  check_rejected({'P', 'K', 3, 4, 0, 0, 0, 0}, "offset 0: expected two zero bytes, found 50 4b");
  check_rejected({0, 1, 8, 1, 0, 0, 0, 0}, "offset 0: expected two zero bytes, found 00 01");
}

TEST_CASE("idx rejects: an unknown type") {
  for (int type = 0; type < 256; ++type) {
    if (type == 0x08 || type == 0x09 || (type >= 0x0b && type <= 0x0e)) continue;
    CHECK_THROWS_AS(read_bytes(idx_bytes(type, {1}, Bytes(8))), IoError);
  }
  check_rejected(idx_bytes(0x0a, {1}, {0}),
                 "offset 2: expected a type of 08, 09, 0b, 0c, 0d or 0e, found 0a");
}

TEST_CASE("idx rejects: no dimensions, or more than 8") {
  check_rejected({0, 0, 8, 0, 1}, "offset 3: expected 1 to 8 dimensions, found 0");
  check_rejected(idx_bytes(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {0}),
                 "offset 3: expected 1 to 8 dimensions, found 9");
}

TEST_CASE("idx rejects: another rank or type than the role needs") {
  check_rejected(kSmall, "offset 3: expected 3 dimensions, found 2", {.rank = 3});
  check_rejected(gzip(kSmall), "offset 3: expected 1 dimensions, found 2", {.type = IdxType::u8, .rank = 1});
  check_rejected(kSmall, "offset 2: expected elements of type f32, found u8", {.type = IdxType::f32});
}

TEST_CASE("idx rejects: extents that overflow") {
  const std::string expected = "offset 4: expected extents of at most 1073741824 bytes, found ";
  check_rejected(idx_bytes(0x0e, {0xffffffff, 0xffffffff, 0xffffffff}, {}),
                 expected + "f64 [4294967295, 4294967295, 4294967295]");
  // The product wraps to 0 in 64 bits, and to a small number in 32.
  check_rejected(idx_bytes(0x08, {0x80000000, 0x80000000, 4}, {}),
                 expected + "u8 [2147483648, 2147483648, 4]");
  check_rejected(idx_bytes(0x08, {0x10001, 0x10001}, Bytes(20)), expected + "u8 [65537, 65537]");
  check_rejected(idx_bytes(0x08, {0xffffffff, 0xffffffff, 0xffffffff, 0}, {}),
                 expected + "u8 [4294967295, 4294967295, 4294967295, 0]");
}

TEST_CASE("idx rejects: extents past the cap") {
  check_rejected(kSmall, "offset 4: expected extents of at most 5 bytes, found u8 [2, 3]", {.max_bytes = 5});
  check_rejected(idx_bytes(0x0c, {2}, Bytes(8)),
                 "offset 4: expected extents of at most 7 bytes, found i32 [2]", {.max_bytes = 7});
}

TEST_CASE("idx rejects: data that is too short") {
  check_rejected(first(kSmall, 17), "offset 12: expected 6 bytes of data, found 5");
  check_rejected(gzip(first(kSmall, 17)), "offset 12: expected 6 bytes of data, found 5");
  check_rejected(idx_bytes(0x08, {1 << 30}, Bytes(100)),
                 "offset 8: expected 1073741824 bytes of data, found 100");
}

TEST_CASE("idx rejects: a compressed file too small for what it promises, before any of it is allocated") {
  const Bytes packed = gzip(idx_bytes(0x08, {1 << 30}, {}));
  const std::string most = std::to_string(packed.size() * 1032 - 8);
  check_rejected(packed, "offset 8: expected 1073741824 bytes of data, found at most " + most);
}

TEST_CASE("idx rejects: bytes after the data") {
  check_rejected(joined(kSmall, {9, 9}), "offset 18: expected the end of the file, found 2 more bytes");
  check_rejected(gzip(joined(kSmall, {9, 9})), "offset 18: expected the end of the data, found more bytes");
}

TEST_CASE("idx rejects: a decompression bomb, after the promised bytes and one") {
  Bytes bomb = gzip(idx_bytes(0x08, {1}, Bytes(64 << 20)));
  REQUIRE(bomb.size() < 100000);
  check_rejected(bomb, "offset 9: expected the end of the data, found more bytes");
  // Damage further on is never seen.
  std::fill(bomb.begin() + 1000, bomb.end(), std::uint8_t{0xff});
  check_rejected(bomb, "offset 9: expected the end of the data, found more bytes");
}

TEST_CASE("idx rejects: a bad gzip stream") {
  const Bytes packed = gzip(kSmall);
  Bytes method = packed;
  method[2] = 7;
  check_rejected(method,
                 "compressed offset 4: expected a sound gzip stream, found unknown compression method");
  Bytes block = first(packed, 10);
  block.push_back(0x07);  // a block of the reserved type
  check_rejected(block, "compressed offset 11: expected a sound gzip stream, found invalid block type");
  Bytes checksum = packed;
  checksum[packed.size() - 8] ^= 1;
  check_rejected(checksum, "compressed offset " + std::to_string(packed.size() - 4) +
                               ": expected a sound gzip stream, found incorrect data check");
  Bytes length = packed;
  length[packed.size() - 1] ^= 1;
  check_rejected(length, "compressed offset " + std::to_string(packed.size()) +
                             ": expected a sound gzip stream, found incorrect length check");
}

TEST_CASE("idx rejects: a gzip stream cut off anywhere") {
  const Bytes packed = gzip(kSmall);
  for (std::size_t length = 2; length < packed.size(); ++length) {
    check_rejected(first(packed, length),
                   "compressed offset " + std::to_string(length) +
                       ": expected more of the gzip stream, found the end of the file");
  }
  check_rejected(stored_gzip(18, first(kSmall, 14)),
                 "compressed offset 29: expected more of the gzip stream, found the end of the file");
}

TEST_CASE("idx rejects: garbage after the gzip member, a second member included") {
  const Bytes packed = gzip(kSmall);
  const std::string offset = "compressed offset " + std::to_string(packed.size());
  check_rejected(joined(packed, {0}),
                 offset + ": expected the end of the file, found 1 bytes after the gzip member");
  check_rejected(joined(packed, packed), offset + ": expected the end of the file, found " +
                                             std::to_string(packed.size()) + " bytes after the gzip member");
}

TEST_CASE("idx: damaged files give an IoError or a file, never anything else") {
  const TemporaryFolder folder;
  Generator random(11);
  Bytes data(400);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(random.below(4));
  const Bytes plain = idx_bytes(0x0c, {4, 25}, data), packed = gzip(plain);
  int read = 0, rejected = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes bytes = round % 2 == 0 ? plain : packed;
    // Mostly near the front, where the structure is.
    const auto place = [&] {
      return random.below(random.below(3) == 0 ? static_cast<std::uint32_t>(bytes.size()) : 16);
    };
    for (std::uint32_t flips = random.below(4); flips > 0; --flips) {
      bytes[place()] ^= static_cast<std::uint8_t>(1u << random.below(8));
    }
    if (random.below(4) == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    if (random.below(8) == 0) bytes.push_back(static_cast<std::uint8_t>(random.bits()));
    try {
      const IdxFile file = read_idx(folder.write("damaged", bytes), {.max_bytes = 1 << 20});
      ++read;
      REQUIRE(std::ssize(file.data) == file.extents.size() * size_of(file.type));
    } catch (const IoError& error) {
      ++rejected;
      const std::string text = error.what();
      REQUIRE(text.starts_with("idx: " + (folder / "damaged").string() + ": "));
      REQUIRE(text.find("offset ") != std::string::npos);
      REQUIRE(text.find(": expected ") != std::string::npos);
      REQUIRE(text.find(", found ") != std::string::npos);
      REQUIRE(text.find('\n') == std::string::npos);
    }
  }
  CHECK(read > 100);
  CHECK(rejected > 1000);
}
