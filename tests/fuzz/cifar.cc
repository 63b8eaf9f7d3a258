#include "shoal/data/cifar.h"

#include "shoal/data/test_files.h"
#include "tests/fuzz/target.h"

namespace {

// A record of these label bytes and 3,072 pixels. Appended, for GCC 12 takes the sum of a short
// string and a long one for an overflow.
std::string record(std::initializer_list<char> labels) {
  std::string bytes(labels);
  bytes.append(3072, 'p');
  return bytes;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  return {record({3}), record({3}).append(record({7})), record({3, 63}), ""};
}

// As the first file of either set; the others are good.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const shoal::TempFolder folder;
  const std::string content = shoal::text_of(data, size);
  folder.write("data_batch_1.bin", content);
  folder.write("test_batch.bin", record({1}));
  folder.write("train.bin", content);
  folder.write("test.bin", record({1, 1}));
  shoal::fuzz("data_batch_1.bin",
              [&] { shoal::read_cifar(folder.path(), shoal::CifarLabel::cifar10); });
  return shoal::fuzz("train.bin",
                     [&] { shoal::read_cifar(folder.path(), shoal::CifarLabel::fine); });
}
