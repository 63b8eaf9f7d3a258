#include "shoal/cli/command_line.h"

int main(int argc, char** argv) { return shoal::run_command_line({argv, argv + argc}); }
