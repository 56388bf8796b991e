// IDX, the file format of MNIST: two zero bytes, a type byte, the number of dimensions, the extents as
// big-endian u32, then the elements, big-endian and row-major. Files may be gzip-compressed; the first two
// bytes tell, not the name. The reader is strict: a file that is not exactly what its header says is an
// IoError, which names the place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "xgrad/tensor/shape.hpp"

namespace xgrad::io {

/// The element types of IDX, with the format's own codes.
enum class IdxType : std::uint8_t { u8 = 0x08, i8 = 0x09, i16 = 0x0b, i32 = 0x0c, f32 = 0x0d, f64 = 0x0e };

/// `u8`, `i16`, `f32`, ...
const char* name(IdxType type);

/// Bytes per element.
constexpr std::int64_t size_of(IdxType type) {
  switch (type) {
    case IdxType::i16:
      return 2;
    case IdxType::i32:
    case IdxType::f32:
      return 4;
    case IdxType::f64:
      return 8;
    default:
      return 1;
  }
}

/// The IDX type of C++ elements of type T.
template <class T>
constexpr IdxType idx_type_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    return IdxType::u8;
  } else if constexpr (std::is_same_v<T, std::int8_t>) {
    return IdxType::i8;
  } else if constexpr (std::is_same_v<T, std::int16_t>) {
    return IdxType::i16;
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return IdxType::i32;
  } else if constexpr (std::is_same_v<T, float>) {
    return IdxType::f32;
  } else {
    static_assert(std::is_same_v<T, double>, "IDX has no elements of this type");
    return IdxType::f64;
  }
}

/// The contents of an IDX file.
struct IdxFile {
  IdxType type = IdxType::u8;
  Shape extents;                   ///< 1 to 8 dimensions, any of which may be 0
  std::vector<std::uint8_t> data;  ///< the elements, row-major, in the byte order of this machine

  /// The elements; of a temporary file a copy. @throws DTypeError when the file holds another type than T.
  template <class T>
  std::span<const T> as() const& {
    require(idx_type_of<T>());
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T>
  std::vector<T> as() const&& {
    const std::span<const T> elements = as<T>();
    return {elements.begin(), elements.end()};
  }

 private:
  void require(IdxType wanted) const;
};

/// What the reader of a file accepts.
struct IdxOptions {
  std::optional<IdxType> type = {};                ///< the only type accepted
  std::optional<int> rank = {};                    ///< the only number of dimensions accepted
  std::int64_t max_bytes = std::int64_t{1} << 30;  ///< the most bytes of data accepted
};

/// Reads an IDX file, plain or gzip-compressed.
///
/// The header is checked against `max_bytes` and the size of the file before memory for the data is
/// allocated, and at most one byte more than the header says is inflated. A gzip file must be a single
/// member.
/// @throws IoError `idx: train.gz: offset 16: expected 47040000 bytes of data, found 1200`. Offsets count
///   uncompressed bytes; where the gzip stream itself is damaged, `compressed offset` counts those of the
///   file.
IdxFile read_idx(const std::filesystem::path& file, const IdxOptions& options = {});

}  // namespace xgrad::io
