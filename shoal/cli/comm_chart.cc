#include "shoal/cli/comm_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "shoal/cli/comm_times.h"
#include "shoal/program/number_text.h"

namespace shoal {
namespace {

constexpr double kLeft = 90, kRight = 870, kTop = 50, kBottom = 470;

// Whole powers around the values, so that the grid's lines have round labels.
class Axis {
 public:
  Axis(double least, double most, double base, double from, double to)
      : base_(base),
        first_(std::floor(std::log(least) / std::log(base) + 1e-9)),
        last_(std::max(first_ + 1, std::ceil(std::log(most) / std::log(base) - 1e-9))),
        from_(from),
        to_(to) {}
  double at(double value) const {
    const double power = std::log(value) / std::log(base_);
    return from_ + (to_ - from_) * (power - first_) / (last_ - first_);
  }
  std::vector<double> marks() const {
    std::vector<double> values;
    for (double power = first_; power <= last_; ++power) values.push_back(std::pow(base_, power));
    return values;
  }

 private:
  double base_, first_, last_, from_, to_;
};

std::string line_of(const std::vector<Measured>& sizes, const Axis& x, const Axis& y,
                    double Measured::*value, const std::string& style) {
  std::string points;
  for (const Measured& size : sizes) {
    points +=
        fmt::format("{:.1f},{:.1f} ", x.at(static_cast<double>(size.bytes)), y.at(size.*value));
  }
  return fmt::format("<polyline fill=\"none\" {} points=\"{}\"/>\n", style, points);
}

std::string grid(const Axis& x, const Axis& y) {
  std::string lines;
  for (const double bytes : x.marks()) {
    lines += fmt::format(
        "<path stroke=\"#ddd\" d=\"M{0:.1f},{1} V{2}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
        x.at(bytes), kTop, kBottom, kBottom + 20,
        human_bytes(static_cast<std::int64_t>(std::llround(bytes))));
  }
  for (const double seconds : y.marks()) {
    lines += fmt::format(
        "<path stroke=\"#ddd\" d=\"M{1},{0:.1f} H{2}\"/>"
        "<text x=\"{3}\" y=\"{0:.1f}\" text-anchor=\"end\" dy=\"4\">{4}</text>\n",
        y.at(seconds), kLeft, kRight, kLeft - 8, time_text(seconds));
  }
  return lines;
}

}  // namespace

std::string chart_of(const std::vector<ChartLine>& lines, const std::string& title) {
  static constexpr const char* kColours[] = {"#1f5fa8", "#c0504d", "#4f8f3f", "#8064a2"};
  const bool alone = lines.size() == 1;
  const std::vector<Measured>& first = lines.front().sizes;
  double least = first.front().least;
  double most = first.front().most;
  for (const ChartLine& line : lines) {
    for (const Measured& size : line.sizes) {
      least = std::min(least, size.least);
      most = std::max({most, alone ? size.p99 : size.most, size.most});
    }
  }
  const Axis x(static_cast<double>(first.front().bytes), static_cast<double>(first.back().bytes), 4,
               kLeft, kRight);
  const Axis y(least, most, 10, kBottom, kTop);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 520\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"900\" height=\"520\" fill=\"white\"/>\n"
      "<text x=\"{}\" y=\"30\" font-size=\"15\">{}</text>\n",
      kLeft, title);
  svg += grid(x, y);
  for (std::size_t number = 0; number < lines.size(); ++number) {
    const char* const colour = kColours[number % std::size(kColours)];
    for (const Measured& size : lines[number].sizes) {
      svg += fmt::format("<path stroke=\"{}\" stroke-width=\"4\" d=\"M{:.1f},{:.1f} V{:.1f}\"/>\n",
                         colour, x.at(static_cast<double>(size.bytes)), y.at(size.least),
                         y.at(size.most));
    }
    svg += line_of(lines[number].sizes, x, y, &Measured::median,
                   fmt::format("stroke=\"{}\" stroke-width=\"2\"", colour));
    if (alone) continue;
    svg +=
        fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"13\" fill=\"{}\">{}</text>\n", kLeft + 15,
                    kTop + 20 + 18 * static_cast<double>(number), colour, lines[number].name);
  }
  if (alone)
    svg += line_of(first, x, y, &Measured::p99, "stroke=\"#c0504d\" stroke-dasharray=\"4 3\"");
  svg += fmt::format(
      "<text x=\"{0}\" y=\"{1}\">{2}: median, with the spread of repetitions{3}</text>\n</svg>\n",
      kLeft, kBottom + 42, alone ? "line" : "lines", alone ? "; dashed: 99th percentile" : "");
  return svg;
}

}  // namespace shoal
