# Runs those tests of PROGRAM that SOURCE defines: cmake -DPROGRAM= -DSOURCE= -P RunTestFile.cmake
# The suites are read when the test runs, so an edited file needs no new configuration.
file(STRINGS ${SOURCE} lines REGEX "^(TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P)\\(")
set(patterns "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^[A-Z_]+\\( *([A-Za-z0-9_]+).*" "\\1" suite "${line}")
  list(APPEND patterns "${suite}.*" "${suite}/*" "*/${suite}.*" "*/${suite}/*")
endforeach()
if(NOT patterns)
  message(FATAL_ERROR "${SOURCE} defines no test")
endif()
list(REMOVE_DUPLICATES patterns)
list(JOIN patterns ":" filter)

execute_process(COMMAND ${PROGRAM} --gtest_filter=${filter} --gtest_brief=0 RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "again: ${PROGRAM} '--gtest_filter=${filter}' (result: ${result})")
endif()
