// Runs the command within a test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "shoal/cli/command_line.h"

namespace shoal {

struct Ran {
  int code;
  std::string out, err;
};

// `words` follow the command's name. Blocks until it ends.
inline Ran run_shoal(std::vector<std::string> words) {
  words.insert(words.begin(), "shoal");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_command_line(std::move(words));
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

}  // namespace shoal
