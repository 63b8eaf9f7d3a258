#include "shoal/data/scaling.h"

namespace shoal {

std::vector<ByteTable> byte_tables(const Scaling& scaling) {
  std::vector<ByteTable> tables(scaling.normalization.mean.size());
  for (std::size_t group = 0; group < tables.size(); ++group) {
    for (std::size_t value = 0; value < 256; ++value) {
      tables[group][value] = static_cast<float>(scaling.scaled(static_cast<double>(value), group));
    }
  }
  return tables;
}

}  // namespace shoal
