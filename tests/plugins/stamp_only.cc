#include "tests/plugins/plain.h"  // and no function that registers
