#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "shoal/program/picture.h"

namespace shoal {
namespace {

// Pixels.
constexpr double kWidth = 1200;
constexpr double kLeft = 170;  // of the time axis
constexpr double kRight = 24;
constexpr double kComputeRow = 24;
constexpr double kOtherRow = 16;
constexpr double kRowGap = 3;
constexpr double kRankGap = 12;
constexpr double kTop = 68;
constexpr double kCharacter = 6.1;  // average width at 11 pixels

struct Colour {
  std::string_view name;  // in the legend
  std::string_view fill;
  std::string_view text;
};

// Blue forward, orange backward, green communication: told apart by colour-blind readers too.
Colour colour_of(const Op& op) {
  switch (op.kind) {
    case OpKind::load:
      return {"load", "#b8bec8", "#1d2430"};
    case OpKind::forward:
      if (op.mode == ForwardMode::recompute) return {"forward again", "#a6c8f0", "#1d2430"};
      return {"forward", "#3d7cc9", "#ffffff"};
    case OpKind::loss:
      return {"loss", "#8a63b8", "#ffffff"};
    case OpKind::backward:
      return {"backward", "#e8913a", "#1d2430"};
    case OpKind::send:
      return {"send", "#58a88c", "#10241d"};
    case OpKind::receive:
      return {"receive", "#93d0ba", "#10241d"};
    case OpKind::all_reduce:
      return {"all-reduce", "#2f9e6e", "#ffffff"};
    case OpKind::agree:
      return {"agree", "#196b48", "#ffffff"};
    case OpKind::update:
      return {"update", "#c2455c", "#ffffff"};
  }
  return {"?", "#000000", "#ffffff"};
}

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        // Control characters are not allowed in XML at all.
        safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

// "12.3 ms", "450 us"
std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  return fmt::format("{:.4g} ms", seconds * 1e3);
}

// 1, 2 or 5 times a power of ten, so that about `count` steps fit.
double tick_step(double span, double count) {
  const double rough = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string shortened(std::string text, double width, double character) {
  const auto most = static_cast<std::size_t>(std::max(4.0, width / character));
  if (text.size() <= most) return text;
  return text.substr(0, most - 2) + "..";
}

class Drawing {
 public:
  Drawing(const RankPrograms& programs, const Timeline& timeline)
      : programs_(programs),
        timeline_(timeline),
        scale_((kWidth - kLeft - kRight) / std::max(timeline.makespan, 1e-9)) {}

  std::string drawn(const std::string& title) {
    for (std::size_t rank = 0; rank < programs_.size(); ++rank) add_rank(rank);
    const double bottom = y_;
    const double height = bottom + 46;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0} {1:.0f}\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" "
        "font-size=\"11\">\n<title>{2}</title>\n<rect width=\"100%\" height=\"100%\" "
        "fill=\"#ffffff\"/>\n",
        kWidth, height, escaped(title));
    svg += fmt::format(
        "<text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\" "
        "fill=\"#1d2430\">{}</text>\n",
        escaped(shortened(title, kWidth - 200, 9)));
    svg += fmt::format("<text x=\"{}\" y=\"26\" text-anchor=\"end\" fill=\"#4a5464\">{}</text>\n",
                       kWidth - kRight, "all done after " + time_text(timeline_.makespan));
    return svg + legend() + rows_ + axis(bottom) + boxes_ + labels_ + "</svg>\n";
  }

 private:
  double x_of(double seconds) const { return kLeft + seconds * scale_; }

  void add_rank(std::size_t rank) {
    const Program& program = programs_[rank];
    std::map<Lane, std::vector<const TimedOp*>> lanes;
    for (const TimedOp& timed : timeline_.ranks[rank]) {
      lanes[lane_of(program.ops[timed.op])].push_back(&timed);
    }
    const double top = y_;
    for (const auto& [lane, ops] : lanes) {
      const double height = lane.kind == Lane::Kind::compute ? kComputeRow : kOtherRow;
      rows_ +=
          fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"#f1f3f6\"/>\n",
                      kLeft, y_, kWidth - kLeft - kRight, height);
      rows_ += fmt::format(
          "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\" font-size=\"10\" "
          "fill=\"#4a5464\">{}</text>\n",
          kLeft - 8, y_ + height / 2 + 3.5, escaped(shortened(lane_name(lane, program), 90, 5.6)));
      for (const TimedOp* timed : ops) add_box(program, *timed, height);
      y_ += height + kRowGap;
    }
    rows_ += fmt::format(
        "<text x=\"16\" y=\"{:.1f}\" font-size=\"12\" font-weight=\"bold\" "
        "fill=\"#1d2430\">rank {}</text>\n",
        top + kComputeRow / 2 + 4, program.rank);
    y_ += kRankGap - kRowGap;
  }

  void add_box(const Program& program, const TimedOp& timed, double height) {
    const Op& op = program.ops[timed.op];
    const Colour colour = colour_of(op);
    const std::string text = text_of(op, program.micro_batches);
    const std::string hint = fmt::format("<title>{} {}: {} to {}</title>", timed.op, escaped(text),
                                         time_text(timed.start), time_text(timed.end));
    if (timed.met > timed.start) {
      boxes_ += fmt::format(
          "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" fill=\"{}\" "
          "fill-opacity=\"0.22\">{}</rect>\n",
          x_of(timed.start), y_ + height / 2 - 2, (timed.met - timed.start) * scale_, 4.0,
          colour.fill, hint);
    }
    // What takes no time still shows as a line.
    const double width = std::max(1.0, (timed.end - timed.met) * scale_);
    boxes_ += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"{}>{}</rect>\n",
        x_of(timed.met), y_, width, height, colour.fill,
        width > 3 ? " stroke=\"#ffffff\" stroke-width=\"0.6\"" : "", hint);
    add_label(text, x_of(timed.met) + width / 2, y_ + height / 2, width, colour);
  }

  // As large as fits, or not at all: the hint has it anyway.
  void add_label(const std::string& text, double x, double y, double width, const Colour& colour) {
    for (const double size : {11.0, 8.5}) {
      if (static_cast<double>(text.size()) * kCharacter * size / 11 + 2 > width) continue;
      labels_ += fmt::format(
          "<text x=\"{:.2f}\" y=\"{:.1f}\" text-anchor=\"middle\" font-size=\"{}\" fill=\"{}\" "
          "pointer-events=\"none\">{}</text>\n",
          x, y + size * 0.36, size, colour.text, escaped(text));
      return;
    }
  }

  std::string legend() const {
    std::map<std::pair<OpKind, bool>, Colour> colours;  // in the order of the kinds
    for (const Program& program : programs_) {
      for (const Op& op : program.ops) {
        colours.try_emplace({op.kind, op.mode == ForwardMode::recompute}, colour_of(op));
      }
    }
    std::string svg;
    double x = 16;
    for (const auto& [kind, colour] : colours) {
      svg += fmt::format(
          "<rect x=\"{0:.1f}\" y=\"40\" width=\"12\" height=\"12\" fill=\"{1}\"/>"
          "<text x=\"{2:.1f}\" y=\"50\" fill=\"#1d2430\">{3}</text>\n",
          x, colour.fill, x + 17, colour.name);
      x += 17 + static_cast<double>(colour.name.size()) * kCharacter + 18;
    }
    return svg;
  }

  std::string axis(double bottom) const {
    const double span_ms = std::max(timeline_.makespan, 1e-9) * 1e3;
    const double step = tick_step(span_ms, 10);
    std::string svg;
    for (int tick = 0; tick * step <= span_ms * (1 + 1e-9); ++tick) {
      const double x = x_of(tick * step / 1e3);
      svg += fmt::format(
          "<line x1=\"{0:.2f}\" y1=\"{1}\" x2=\"{0:.2f}\" y2=\"{2:.1f}\" stroke=\"#d5dae2\" "
          "stroke-width=\"1\"/><text x=\"{0:.2f}\" y=\"{3:.1f}\" text-anchor=\"middle\" "
          "fill=\"#4a5464\">{4:.6g}</text>\n",
          x, kTop - 6, bottom, bottom + 14, tick * step);
    }
    svg += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#4a5464\">time in "
        "ms</text>\n",
        (kLeft + kWidth - kRight) / 2, bottom + 32);
    return svg;
  }

  const RankPrograms& programs_;
  const Timeline& timeline_;
  double scale_;  // pixels per second
  double y_ = kTop;
  std::string rows_;
  std::string boxes_;
  std::string labels_;
};

}  // namespace

std::string svg_picture(const RankPrograms& programs, const std::vector<BlockFacts>& /*blocks*/,
                        const Timeline& timeline, const std::string& title) {
  return Drawing(programs, timeline).drawn(title);
}

}  // namespace shoal
