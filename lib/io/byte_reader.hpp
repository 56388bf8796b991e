// ByteReader: reads a file from front to back, inflates gzip files, and words the errors of the formats that
// are read through it.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace xgrad::io::detail {

class ByteReader {
 public:
  /// Opens a file; every error text begins with `format`. @throws IoError unless it is a readable file.
  ByteReader(const char* format, std::filesystem::path file);

  /// Fills `out`, as far as the file goes, and returns the number of bytes. @throws IoError when the gzip
  /// stream is damaged.
  std::int64_t read(std::span<std::uint8_t> out);
  /// @throws IoError when data follows, or bytes after the gzip member.
  void expect_end();

  bool compressed() const { return inflater_ != nullptr; }
  /// The number of bytes read so far.
  std::int64_t offset() const { return offset_; }
  /// The number of bytes that remain: exact for a plain file, an upper bound for a compressed one.
  std::int64_t remaining() const;

  /// @throws IoError `format: file: offset 16: expected ..., found ...`
  [[noreturn]] void fail(std::int64_t offset, const std::string& expected, const std::string& found) const;

 private:
  std::int64_t read_file(std::span<std::uint8_t> out);
  std::int64_t inflate(std::span<std::uint8_t> out);
  [[noreturn]] void fail_compressed(const std::string& expected, const std::string& found) const;

  struct EndInflation {
    void operator()(z_stream* stream) const {
      inflateEnd(stream);
      delete stream;
    }
  };

  const char* format_;
  std::filesystem::path path_;
  std::ifstream file_;
  std::int64_t size_ = 0;
  std::int64_t offset_ = 0;
  std::vector<std::uint8_t> input_;                   // compressed bytes not yet inflated
  std::unique_ptr<z_stream, EndInflation> inflater_;  // null for a plain file
  bool ended_ = false;                                // the gzip member ended, and its checksum is right
};

}  // namespace xgrad::io::detail
