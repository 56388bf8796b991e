// The reader of IDX files.
#include "xgrad/io/idx.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <string>

#include "lib/io/byte_reader.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::io {

using detail::ByteReader;
using xgrad::detail::text;

namespace {

constexpr std::int64_t kTypeOffset = 2, kRankOffset = 3, kExtentsOffset = 4;

bool known(IdxType type) {
  constexpr std::array kTypes{IdxType::u8,  IdxType::i8,  IdxType::i16,
                              IdxType::i32, IdxType::f32, IdxType::f64};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

std::string hex(std::uint8_t byte) {
  std::array<char, 3> digits{};
  std::snprintf(digits.data(), digits.size(), "%02x", byte);
  return digits.data();
}

// Fills `out`, which holds `what`. Fails when the file ends before.
void read_all(ByteReader& reader, std::span<std::uint8_t> out, const char* what) {
  const std::int64_t offset = reader.offset(), found = reader.read(out);
  if (found != std::ssize(out)) {
    reader.fail(offset, text(out.size(), " bytes of ", what), std::to_string(found));
  }
}

IdxType read_type(ByteReader& reader, std::span<const std::uint8_t, 4> magic, const IdxOptions& options) {
  if (magic[0] != 0 || magic[1] != 0) {
    reader.fail(0, "two zero bytes", text(hex(magic[0]), ' ', hex(magic[1])));
  }
  const IdxType type{magic[kTypeOffset]};
  if (!known(type)) {
    reader.fail(kTypeOffset, "a type of 08, 09, 0b, 0c, 0d or 0e", hex(magic[kTypeOffset]));
  }
  if (options.type && type != *options.type) {
    reader.fail(kTypeOffset, text("elements of type ", name(*options.type)), name(type));
  }
  return type;
}

// Reads the extents. Fails when the data would be more than `max_bytes`.
Shape read_extents(ByteReader& reader, int rank, IdxType type, const IdxOptions& options) {
  if (rank < 1 || rank > kMaxRank) {
    reader.fail(kRankOffset, text("1 to ", kMaxRank, " dimensions"), std::to_string(rank));
  }
  if (options.rank && rank != *options.rank) {
    reader.fail(kRankOffset, text(*options.rank, " dimensions"), std::to_string(rank));
  }
  std::array<std::uint8_t, sizeof(std::uint32_t) * kMaxRank> bytes{};
  const auto header = std::span(bytes).first(sizeof(std::uint32_t) * static_cast<std::size_t>(rank));
  read_all(reader, header, "extents");

  Shape extents;
  for (std::size_t i = 0; i < header.size(); i += 4) {
    extents.push_back(std::int64_t{header[i]} << 24 | header[i + 1] << 16 | header[i + 2] << 8 |
                      header[i + 3]);
  }
  const std::int64_t most = options.max_bytes / size_of(type);
  std::int64_t size = 1;
  for (const std::int64_t extent : extents) {
    if (extent != 0 && size > most / extent) {
      reader.fail(kExtentsOffset, text("extents of at most ", options.max_bytes, " bytes"),
                  text(name(type), ' ', extents));
    }
    size *= extent;
  }
  return extents;
}

void to_host_order(std::span<std::uint8_t> data, std::int64_t width) {
  if (std::endian::native == std::endian::big || width == 1) return;
  for (auto element = data.begin(); element != data.end(); element += width) {
    std::reverse(element, element + width);
  }
}

}  // namespace

const char* name(IdxType type) {
  switch (type) {
    case IdxType::u8:
      return "u8";
    case IdxType::i8:
      return "i8";
    case IdxType::i16:
      return "i16";
    case IdxType::i32:
      return "i32";
    case IdxType::f32:
      return "f32";
    case IdxType::f64:
      return "f64";
  }
  return "unknown";
}

void IdxFile::require(IdxType wanted) const {
  if (type != wanted) {
    throw DTypeError(text("idx: elements of type ", name(wanted), " asked of a file of ", name(type)));
  }
}

IdxFile read_idx(const std::filesystem::path& file, const IdxOptions& options) {
  ByteReader reader("idx", file);
  std::array<std::uint8_t, 4> magic{};
  read_all(reader, magic, "header");

  IdxFile result;
  result.type = read_type(reader, magic, options);
  result.extents = read_extents(reader, magic[kRankOffset], result.type, options);

  const std::int64_t bytes = result.extents.size() * size_of(result.type), most = reader.remaining();
  if (most < bytes) {
    reader.fail(reader.offset(), text(bytes, " bytes of data"),
                text(reader.compressed() ? "at most " : "", most));
  }
  if (most > bytes && !reader.compressed()) {
    reader.fail(reader.offset() + bytes, "the end of the file", text(most - bytes, " more bytes"));
  }
  result.data.resize(static_cast<std::size_t>(bytes));
  read_all(reader, result.data, "data");
  reader.expect_end();
  to_host_order(result.data, size_of(result.type));
  return result;
}

}  // namespace xgrad::io
