#include "shoal/data/csv.h"

#include "tests/fuzz/target.h"

std::vector<std::string> fuzz_seeds() {
  return {
      "a,b,class\n1,2,0\n3,4,1\n",  "1,2,0\r\n3.5,-4e-3,1\r\n", "\"a\"\"b\",\"c\nd\"\n1,\"2\"\n",
      "\xEF\xBB\xBFx,y\n 1 ,\t2\n", "h\xC3\xA9,k\n1,0\n",       "1,0,7\n0,0,8\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = shoal::text_of(data, size);
  for (const auto task : {shoal::LearningTask::classification, shoal::LearningTask::regression,
                          shoal::LearningTask::multi_label}) {
    shoal::CsvOptions options;
    options.task = task;
    if (task == shoal::LearningTask::multi_label) options.labels = {"1", "0"};
    shoal::fuzz("input",
                [&] { shoal::samples_of(shoal::parse_csv(text, "input", options), options, 0); });
  }
  return 0;
}
