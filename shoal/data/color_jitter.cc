#include "shoal/data/color_jitter.h"

#include <algorithm>
#include <cmath>

#include "shoal/core/check.h"

namespace shoal {
namespace {

float clamped(float value) { return std::clamp(value, 0.0f, 1.0f); }

// Source: ITU-R BT.601, with the four digits that torchvision takes.
float grey(float red, float green, float blue) {
  return 0.2989f * red + 0.587f * green + 0.114f * blue;
}

struct Planes {
  std::span<float> values;
  std::size_t pixels;
  bool is_grey;

  float* red() const { return values.data(); }
  float* green() const { return values.data() + pixels; }
  float* blue() const { return values.data() + 2 * pixels; }
};

void change_brightness(const Planes& planes, float factor) {
  for (float& value : planes.values) value = clamped(value * factor);
}

void change_contrast(const Planes& planes, float factor) {
  double sum = 0;
  for (std::size_t i = 0; i < planes.pixels; ++i) {
    sum += planes.is_grey ? planes.values[i]
                          : grey(planes.red()[i], planes.green()[i], planes.blue()[i]);
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(planes.pixels));
  const float rest = (1 - factor) * mean;
  for (float& value : planes.values) value = clamped(factor * value + rest);
}

void change_saturation(const Planes& planes, float factor) {
  for (std::size_t i = 0; i < planes.pixels; ++i) {
    float* const rgb[] = {planes.red() + i, planes.green() + i, planes.blue() + i};
    const float rest = (1 - factor) * grey(*rgb[0], *rgb[1], *rgb[2]);
    for (float* const value : rgb) *value = clamped(factor * *value + rest);
  }
}

// The colour as hue in turns (0..1), saturation and value, turned, and back.
// Source: Smith, Color Gamut Transform Pairs, SIGGRAPH 1978.
void turn_hue(float& red, float& green, float& blue, float turns) {
  const float most = std::max({red, green, blue});
  const float range = most - std::min({red, green, blue});
  if (range == 0) return;  // grey has no hue
  float sixths = 0;
  if (most == red) {
    sixths = (green - blue) / range;
  } else if (most == green) {
    sixths = 2 + (blue - red) / range;
  } else {
    sixths = 4 + (red - green) / range;
  }
  float hue = sixths / 6 + turns;
  hue -= std::floor(hue);
  // Each channel follows the same trapezoid, shifted.
  const auto channel = [&](float shift) {
    float place = shift + hue * 6;
    if (place >= 6) place -= 6;
    return most - range * std::clamp(std::min(place, 4 - place), 0.0f, 1.0f);
  };
  red = channel(5);
  green = channel(3);
  blue = channel(1);
}

void change_hue(const Planes& planes, float turns) {
  for (std::size_t i = 0; i < planes.pixels; ++i) {
    turn_hue(planes.red()[i], planes.green()[i], planes.blue()[i], turns);
  }
}

}  // namespace

void change_colors(const ColorChange& change, int channels, std::span<float> values) {
  check(channels == 1 || channels == 3, "colours are grey or RGB");
  const Planes planes{.values = values,
                      .pixels = values.size() / static_cast<std::size_t>(channels),
                      .is_grey = channels == 1};
  for (const ColorStep step : change.order) {
    switch (step) {
      case ColorStep::brightness:
        if (change.brightness != 1) {
          change_brightness(planes, static_cast<float>(change.brightness));
        }
        break;
      case ColorStep::contrast:
        if (change.contrast != 1) change_contrast(planes, static_cast<float>(change.contrast));
        break;
      case ColorStep::saturation:
        if (change.saturation != 1 && !planes.is_grey) {
          change_saturation(planes, static_cast<float>(change.saturation));
        }
        break;
      case ColorStep::hue:
        if (change.hue != 0 && !planes.is_grey) change_hue(planes, static_cast<float>(change.hue));
        break;
    }
  }
}

}  // namespace shoal
