// Plain and gzip-compressed files, read with checks.
#include "lib/io/byte_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::io::detail {

namespace fs = std::filesystem;
using xgrad::detail::text;

namespace {

constexpr std::size_t kInputBytes = 1 << 16;
// A deflate stream spends at least two bits on a match, and a match gives at most 258 bytes.
constexpr std::int64_t kMostInflation = 258 * 8 / 2;

[[noreturn]] void fail_at(const char* format, const fs::path& path, const char* where, std::int64_t offset,
                          const std::string& expected, const std::string& found) {
  throw IoError(text(format, ": ", path.string(), ": ", where, ' ', offset, ": expected ", expected,
                     ", found ", found));
}

}  // namespace

ByteReader::ByteReader(const char* format, fs::path file) : format_(format), path_(std::move(file)) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (status.type() == fs::file_type::not_found) fail(0, "a file", "none");
  if (status.type() == fs::file_type::directory) fail(0, "a file", "a folder");
  if (error) fail(0, "a readable file", error.message());
  if (status.type() != fs::file_type::regular) fail(0, "a regular file", "a device, pipe or socket");

  file_.open(path_, std::ios::binary);
  if (!file_) fail(0, "a readable file", std::generic_category().message(errno));
  size_ = static_cast<std::int64_t>(fs::file_size(path_, error));
  if (error) fail(0, "a readable file", error.message());
  if (size_ == 0) fail(0, "a header", "an empty file");

  std::array<std::uint8_t, 2> magic{};
  read_file(magic);
  file_.clear();
  file_.seekg(0);
  if (magic == std::array<std::uint8_t, 2>{0x1f, 0x8b}) {
    auto stream = std::make_unique<z_stream>();
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(stream.get(), kGzipOnly) != Z_OK) throw std::bad_alloc();
    inflater_.reset(stream.release());
    input_.resize(kInputBytes);
  }
}

std::int64_t ByteReader::remaining() const {
  return (compressed() ? size_ * kMostInflation : size_) - offset_;
}

std::int64_t ByteReader::read(std::span<std::uint8_t> out) {
  const std::int64_t count = compressed() ? inflate(out) : read_file(out);
  offset_ += count;
  return count;
}

std::int64_t ByteReader::read_file(std::span<std::uint8_t> out) {
  file_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  if (file_.bad()) fail(offset_, text(out.size(), " bytes"), "a read error");
  return file_.gcount();
}

std::int64_t ByteReader::inflate(std::span<std::uint8_t> out) {
  z_stream& stream = *inflater_;
  std::size_t done = 0;
  while (done < out.size() && !ended_) {
    if (stream.avail_in == 0) {
      stream.next_in = input_.data();
      stream.avail_in = static_cast<uInt>(read_file(input_));
    }
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - done, 1u << 30));
    stream.next_out = out.data() + done;
    stream.avail_out = room;
    const int status = ::inflate(&stream, Z_NO_FLUSH);
    done += room - stream.avail_out;
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status == Z_BUF_ERROR) fail_compressed("more of the gzip stream", "the end of the file");
    if (status != Z_OK && status != Z_STREAM_END) {
      fail_compressed("a sound gzip stream", stream.msg != nullptr ? stream.msg : "damage");
    }
    ended_ = status == Z_STREAM_END;
  }
  return static_cast<std::int64_t>(done);
}

void ByteReader::expect_end() {
  const std::int64_t end = offset_;
  std::uint8_t extra = 0;
  if (read({&extra, 1}) != 0) fail(end, "the end of the data", "more bytes");
  if (!compressed()) return;
  const std::int64_t rest = size_ - static_cast<std::int64_t>(inflater_->total_in);
  if (rest != 0) fail_compressed("the end of the file", text(rest, " bytes after the gzip member"));
}

void ByteReader::fail(std::int64_t offset, const std::string& expected, const std::string& found) const {
  fail_at(format_, path_, "offset", offset, expected, found);
}

void ByteReader::fail_compressed(const std::string& expected, const std::string& found) const {
  fail_at(format_, path_, "compressed offset", static_cast<std::int64_t>(inflater_->total_in), expected,
          found);
}

}  // namespace xgrad::io::detail
