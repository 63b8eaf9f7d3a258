// A library like any other.
extern "C" int forty_two() { return 42; }
