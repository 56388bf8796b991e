// What the pages in docs/ quote from the sources stands there: blocks that begin with ```cpp and a file's
// name. Runs of blanks count as one.
#include <doctest/doctest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  REQUIRE_MESSAGE(in, path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string with_single_blanks(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool is_blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!is_blank) result += c;
    if (is_blank && !result.empty() && result.back() != ' ') result += ' ';
  }
  return result;
}

}  // namespace

TEST_CASE("docs: quotes from the sources stand in them") {
  const std::filesystem::path root = XGRAD_TEST_SOURCE_DIR;
  int quotes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() != ".md") continue;
    const std::string page = read(entry.path()), fence = "\n```cpp ";
    for (std::size_t at = page.find(fence); at != std::string::npos; at = page.find(fence, at + 1)) {
      const std::size_t name = at + fence.size(), begin = page.find('\n', name),
                        end = page.find("\n```", begin);
      REQUIRE(end != std::string::npos);
      const std::string file = page.substr(name, begin - name), quote = page.substr(begin, end - begin);
      CAPTURE(entry.path().filename().string());
      CAPTURE(file);
      CAPTURE(quote);
      const std::string looked_for = with_single_blanks(quote);
      CHECK(looked_for.size() > 10);
      CHECK(with_single_blanks(read(root / file)).find(looked_for) != std::string::npos);
      ++quotes;
    }
  }
  CHECK(quotes >= 8);
}
