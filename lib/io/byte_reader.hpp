// ByteReader hands out the bytes of a file from front to back, inflated when it is a gzip file, and words
// the errors of the formats read through it.
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
  /// Opens a file; `format` opens the text of every error. @throws IoError unless it is a readable file.
  ByteReader(const char* format, std::filesystem::path file);

  /// Fills `out`, or as much of it as the file has. @throws IoError when the gzip stream is damaged.
  std::int64_t read(std::span<std::uint8_t> out);
  /// @throws IoError when anything follows: data, or garbage after the gzip member.
  void expect_end();

  bool compressed() const { return inflater_ != nullptr; }
  /// Bytes handed out so far.
  std::int64_t offset() const { return offset_; }
  /// How many bytes can still come: exact for a plain file, a bound for a compressed one.
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
  std::vector<std::uint8_t> input_;                   // compressed bytes that wait for the inflater
  std::unique_ptr<z_stream, EndInflation> inflater_;  // null for a plain file
  bool ended_ = false;                                // the gzip member is complete, checksum included
};

}  // namespace xgrad::io::detail
