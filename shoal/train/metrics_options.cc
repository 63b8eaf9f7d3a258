#include "shoal/train/metrics_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "shoal/train/metrics_formats.h"

namespace shoal {

std::vector<std::string> MetricsOptions::problems() const {
  std::vector<std::string> known;
  for (const MetricsFormat& format : metrics_formats()) known.emplace_back(format.name);
  std::vector<std::string> faults;
  if (formats.empty()) {
    faults.push_back("[metrics] formats is empty: name one, or leave path out for no metrics");
  }
  for (const std::string& format : formats) {
    if (std::find(known.begin(), known.end(), format) == known.end()) {
      const auto meant = nearest(format, known);
      faults.push_back(fmt::format("[metrics] formats names '{}': {}", format,
                                   meant ? fmt::format("did you mean '{}'?", *meant)
                                         : "there are jsonl, csv and tensorboard"));
    }
    if (std::count(formats.begin(), formats.end(), format) > 1) {
      return {fmt::format("[metrics] formats names '{}' more than once", format)};
    }
  }
  return faults;
}

OptionTable describe(MetricsOptions& o) {
  return {"metrics",
          "A run's figures as files that grow step by step (docs/metrics.md).",
          {
              option("path", o.path, "Folder for them; empty: none are written."),
              option("formats", o.formats,
                     "Of \"jsonl\" (metrics.jsonl), \"csv\" (metrics.csv) and \"tensorboard\" (an "
                     "event file)."),
          }};
}

}  // namespace shoal
