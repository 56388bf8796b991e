// A recurrent network that writes. It reads a text letter by letter, an LSTM cell carrying what it has read,
// and learns to name the next letter; then it is given one and goes on by itself, drawing each letter from
// the odds that it named. The loss is in nats per letter: log(alphabet) when every letter is as likely as any
// other, and near 0 once the text is known by heart. Run it without arguments: chars
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

// Dickens, A Tale of Two Cities.
const std::string text =
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
    "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, "
    "it "
    "was the season of Darkness, it was the spring of hope, it was the winter of despair, we had everything "
    "before us, we had nothing before us, we were all going direct to Heaven, we were all going direct the "
    "other way.";

constexpr int kLines = 16, kLength = 32;  // of a batch
constexpr int kSteps = 400;
constexpr double kRate = 0.01, kClip = 1, kGoal = 0.25;

/// The letters of the text, each once; a letter's code is its place among them.
std::string alphabet() {
  std::string letters = text;
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  return letters;
}

struct Writer {
  nn::Embedding letters;
  nn::LstmCell cell;
  nn::Dense out;

  Writer(std::int64_t alphabet, std::int64_t hidden, Generator& random)
      : letters(alphabet, 16, random), cell(16, hidden, random), out(hidden, alphabet, random) {}
  void visit(nn::Visitor& v) { v("letters", letters), v("cell", cell), v("out", out); }

  /// The logits of the letters that come next: codes [lines] to [lines, alphabet].
  Var next(const Var& codes, LstmState& state) const {
    state = cell(letters(codes), state);
    return out(state.h);
  }
};

/// Lines cut from the text at random places, in the columns: [length + 1, lines].
xt::xarray<std::int64_t> cut(const std::string& letters, Generator& random) {
  auto codes = xt::xarray<std::int64_t>::from_shape({kLength + 1, kLines});
  for (int line = 0; line < kLines; ++line) {
    const char* start = &text[random.below(static_cast<std::uint32_t>(text.size() - kLength))];
    for (int t = 0; t <= kLength; ++t) {
      codes(t, line) = static_cast<std::int64_t>(letters.find(start[t]));
    }
  }
  return codes;
}

/// A line that begins with what it is given.
std::string write(Tape& tape, const Writer& writer, const std::string& letters, Generator& random) {
  const auto pause = tape.no_grad();
  LstmState state;
  std::string line = "it was the ";
  for (std::size_t t = 0; line.size() < 72; ++t) {
    const auto code = static_cast<std::int64_t>(letters.find(line[t]));
    const Var logits = writer.next(tape.constant(xt::xarray<std::int64_t>{code}), state);
    if (t + 1 < line.size()) continue;  // still reading what is given
    const Var odds = cumsum(softmax(logits), 1);
    const auto table = odds.value<float>();
    const auto drawn = std::upper_bound(table.begin(), table.end() - 1, static_cast<float>(random.uniform()));
    line += letters[static_cast<std::size_t>(drawn - table.begin())];
  }
  return line;
}

int main() {
  const std::string letters = alphabet();
  Generator random(1);
  Writer writer(std::ssize(letters), 64, random);
  optim::Adam adam(nn::parameters(writer), {.lr = kRate});
  Tape tape;
  double loss_now = 0;
  for (int step = 1; step <= kSteps; ++step) {
    const Var codes = tape.constant(cut(letters, random));
    LstmState state;
    std::vector<Var> logits;
    logits.reserve(kLength);
    for (int t = 0; t < kLength; ++t) {
      logits.push_back(writer.next(flatten(slice(codes, 0, t, t + 1)), state));
    }
    const Var loss = softmax_cross_entropy(concat(logits), flatten(slice(codes, 0, 1)));
    adam.zero_grad();
    backward(loss);
    adam.clip_grad_norm(kClip);  // through many steps a gradient grows long now and then
    adam.step();
    loss_now = static_cast<double>(loss.item<float>());
    if (step % 50 == 0) {
      std::printf("step %d: loss %.3f  %s\n", step, loss_now, write(tape, writer, letters, random).c_str());
    }
  }
  return loss_now < kGoal ? EXIT_SUCCESS : EXIT_FAILURE;
}
