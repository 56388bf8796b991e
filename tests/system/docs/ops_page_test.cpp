// docs/ops.md, the page of all operations, made from the declarations' comments, the registry and the case
// table. The test compares; with XGRAD_WRITE_OPS_PAGE set, as scripts/ops-page does, it writes the page.
//
// A `///` comment is that of all declarations up to the next comment or empty line. The page shows its first
// sentence and two that it may have: "Domain: ...", where the function is defined, and "At kinks: ...", the
// derivative that is chosen there. Without them it shows what the case table knows about its operands.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/registry.hpp"
#include "xgrad/support/text.hpp"

using namespace xgrad;

namespace {

constexpr const char* kIntroduction = R"(<!-- Made by scripts/ops-page; do not edit. -->
# The operations of xgrad

Every function of tensors in `include/xgrad/ops`, by header; where no type stands, the argument is a `Var`. The headers
say more, and what each function throws.

* **Domain**: where the function is defined; nothing where it is everywhere.
* **Derivatives**: of every order means that derivatives are made of operations that have derivatives; the first and the
  second are compared with finite differences.
* **At kinks**: the derivative that is chosen, or at least where the kinks are.
* **Recorded as**: one op, an instruction of the tape, or a composition of several.
)";

struct Function {
  std::string name, doc;
  std::vector<std::string> signatures;
};

struct Header {
  std::string name, introduction;
  std::vector<Function> functions;
};

bool starts_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

std::string replace(std::string text, const std::string& pattern, const std::string& by) {
  return std::regex_replace(text, std::regex(pattern), by);
}

/// The place of the parenthesis that closes the first one of a declaration; npos while it goes on.
std::size_t end_of_parameters(const std::string& declaration) {
  int depth = 0;
  for (std::size_t i = 0; i < declaration.size(); ++i) {
    if (declaration[i] == '(') ++depth;
    if (declaration[i] == ')' && --depth == 0) return i;
  }
  return std::string::npos;
}

/// A declaration as a reader wants it: tensors without their type, the others' types without what C++ adds.
std::string signature_of(const std::string& declaration) {
  std::string result = declaration.substr(0, end_of_parameters(declaration) + 1);
  result = replace(result, R"(^(inline )?Var (?=operator|\w+\())", "");
  result = replace(result, R"(const Var& )", "");
  result = replace(result, R"(\bconst |std::|&)", "");
  return replace(result, R"(\s+)", " ");
}

/// The functions of tensors that a header declares at namespace level, outside of `detail`.
Header read_header(const std::filesystem::path& path) {
  Header header{path.filename().string(), {}, {}};
  std::ifstream in(path);
  std::string line, doc;
  while (std::getline(in, line) && starts_with(line, "//")) header.introduction += line.substr(2) + '\n';
  const std::regex declaration(R"(^(?:inline )?[A-Za-z_][\w:<>, ]*[ >](operator.{1,2}?|\w+)\()");
  std::smatch match;
  bool hidden = false, commented = false;
  for (; in; std::getline(in, line)) {
    if (starts_with(line, "namespace detail")) hidden = true;
    if (starts_with(line, "}  // namespace detail")) hidden = false;
    if (starts_with(line, "///")) {
      doc = (commented ? doc : "") + line.substr(3);
      commented = true;
      continue;
    }
    commented = false;
    if (!std::regex_search(line, match, declaration)) {
      if (line.empty() || starts_with(line, "//")) doc.clear();
      continue;
    }
    const std::string name = match[1];
    for (std::string more; end_of_parameters(line) == std::string::npos && std::getline(in, more);)
      line += more;
    static const std::regex tensor(R"(\bVar\b)");
    if (hidden || !std::regex_search(line, tensor)) continue;
    const auto known = std::find_if(header.functions.begin(), header.functions.end(),
                                    [&](const Function& f) { return f.name == name; });
    if (known == header.functions.end()) {
      header.functions.push_back({name, doc, {signature_of(line)}});
    } else {
      known->signatures.push_back(signature_of(line));
    }
  }
  return header;
}

/// Where the sentence that starts at a place ends, its full stop included.
std::size_t end_of_sentence(const std::string& text, std::size_t start) {
  for (std::size_t stop = text.find('.', start); stop != std::string::npos; stop = text.find('.', stop + 1)) {
    const bool abbreviation =
        stop >= 3 && (text.substr(stop - 3, 3) == " al" || text.substr(stop - 2, 2) == ".g");
    if (stop + 1 == text.size() || (text[stop + 1] == ' ' && !abbreviation)) return stop + 1;
  }
  return text.size();
}

/// Takes the sentence that a tag begins out of a text; returns what it says, "" when there is none.
std::string take_tagged(std::string& text, const std::string& tag) {
  const std::size_t start = text.find(tag);
  if (start == std::string::npos) return {};
  const std::size_t end = end_of_sentence(text, start);
  std::string said = text.substr(start + tag.size(), end - start - tag.size() - (text[end - 1] == '.'));
  text.erase(start, end - start);
  return said;
}

/// A text in a cell of a table.
std::string cell(std::string text) {
  text = replace(text, R"(^\s+|\s+$)", "");
  text = replace(text, R"([|*])", R"(\$&)");
  return replace(replace(text, "<", "&lt;"), R"(\s+)", " ");
}

/// What each operand that is not drawn from everywhere is drawn from.
std::string of_operands(const cases::OpCase& row, std::string (*what)(const cases::Domain&)) {
  std::string result;
  for (std::size_t k = 0; k < row.domains.size(); ++k) {
    const std::string said = what(row.domains[k]);
    if (said.empty()) continue;
    result += (result.empty() ? "" : ", ") + said;
    if (row.domains.size() > 1) result += detail::text(" in operand ", k);
  }
  return result;
}

std::string tested_where(const cases::Domain& d) { return d.low > 0 ? "tested where positive" : ""; }

std::string kinks(const cases::Domain& d) {
  std::string result = d.distinct ? "ties" : "";
  for (double kink : d.kinks) result += detail::text(result.empty() ? "kinks at " : ", ", kink);
  return result;
}

std::string row_of(const Function& f, const std::vector<cases::OpCase>& table,
                   const std::set<std::string>& ops) {
  std::string doc = f.doc, domain = take_tagged(doc, "Domain: "), convention = take_tagged(doc, "At kinks: ");
  doc = replace(doc, "^\\s+", "").substr(0, doc.find("@throws"));
  doc = doc.substr(0, end_of_sentence(doc, 0));
  if (!doc.empty() && doc.back() == '.') doc.pop_back();

  std::string derivatives;
  for (const cases::OpCase& row : table) {
    if (row.name.substr(0, row.name.find(' ')) != f.name) continue;
    if (domain.empty() && row.name == f.name) domain = of_operands(row, tested_where);
    if (convention.empty() && row.name == f.name) convention = of_operands(row, kinks);
    const char* const orders[] = {"zero", "first", "every order"};
    if (derivatives.empty()) derivatives = orders[row.order];
  }
  std::string signatures;
  for (const std::string& s : f.signatures)
    signatures += (signatures.empty() ? "`" : "<br>`") + replace(s, "[|]", "\\|") + '`';
  const char* recorded = ops.count(f.name) ? "one op" : "a composition";
  return "| " + signatures + " | " + cell(doc) + " | " + cell(domain) + " | " + derivatives + " | " +
         cell(convention) + " | " + recorded + " |\n";
}

std::string make_page() {
  const std::vector<cases::OpCase> table = cases::op_cases();
  std::set<std::string> ops, functions;
  for (const OpInfo* op : registered_ops()) ops.insert(op->name);
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(XGRAD_TEST_SOURCE_DIR "/include/xgrad/ops"))
    paths.insert(entry.path());

  std::ostringstream page;
  page << kIntroduction;
  for (const std::filesystem::path& path : paths) {
    const Header header = read_header(path);
    if (header.functions.empty()) continue;
    page << "\n## " << header.name << '\n'
         << replace(header.introduction, "(^|\n) (?! )", "$1") << '\n'
         << "| function | value | domain | derivatives | at kinks | recorded as "
            "|\n|---|---|---|---|---|---|\n";
    for (const Function& f : header.functions) {
      functions.insert(f.name);
      page << row_of(f, table, ops);
    }
  }
  page << "\n## Ops that only derivatives record\n";
  const char* comma = "";
  for (const std::string& op : ops) {
    if (!functions.count(op)) page << std::exchange(comma, ", ") << '`' << op << '`';
  }
  page << ".\n";
  return page.str();
}

}  // namespace

TEST_CASE("docs: the page of operations is up to date") {
  const std::string page = make_page();
  const char* const path = XGRAD_TEST_SOURCE_DIR "/docs/ops.md";
  if (std::getenv("XGRAD_WRITE_OPS_PAGE")) std::ofstream(path) << page;
  std::ifstream in(path);
  std::istringstream wanted(page);
  std::string line, wanted_line;
  int number = 0;
  while (std::getline(wanted, wanted_line)) {
    line.clear();
    std::getline(in, line);
    ++number;
    if (line == wanted_line) continue;
    FAIL("docs/ops.md:" << number << " is out of date; run scripts/ops-page\n  is:     " << line
                        << "\n  should: " << wanted_line);
  }
  CHECK_MESSAGE(!std::getline(in, line), "docs/ops.md goes on after line ", number, "; run scripts/ops-page");
}
