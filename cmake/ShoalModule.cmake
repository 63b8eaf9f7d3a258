# shoal_module(<name> [NO_TORCH] [USES <module>...])
#
# Makes the library shoal_<name> (shoal::<name>) of shoal/<name>/*.cc and the test program
# shoal_<name>_test of shoal/<name>/*_test.cc. Files are found by name, so none is left out.
# A NO_TORCH module does not see LibTorch's headers and may use only such modules.
# A module without sources is an interface library.
function(shoal_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_TORCH" "" "USES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "shoal_module(${name}): unknown words ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(SHOAL_TORCH_FREE AND NOT arg_NO_TORCH)
    return()
  endif()

  set(folder ${PROJECT_SOURCE_DIR}/shoal/${name})
  file(GLOB tests CONFIGURE_DEPENDS ${folder}/*_test.cc ${folder}/*/*_test.cc)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc ${folder}/*/*.cc)
  list(REMOVE_ITEM sources ${tests} ${folder}/main.cc)

  set(library shoal_${name})
  if(sources)
    add_library(${library} STATIC ${sources})
    set(visibility PUBLIC)
    target_link_libraries(${library} PRIVATE hwy::hwy)
  else()
    add_library(${library} INTERFACE)
    set(visibility INTERFACE)
  endif()
  add_library(shoal::${name} ALIAS ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY SHOAL_MODULES ${library})

  target_link_libraries(${library} ${visibility} shoal_base)
  foreach(used IN LISTS arg_USES)
    if(NOT TARGET shoal_${used})
      message(FATAL_ERROR "shoal_module(${name}): ${used} has no row above this one")
    endif()
    target_link_libraries(${library} ${visibility} shoal_${used})
  endforeach()
  set(torch "")
  if(NOT arg_NO_TORCH)
    set(torch torch_)
    target_link_libraries(${library} ${visibility} torch c10)
  endif()
  if(sources)
    shoal_use_header(${library} shoal_${torch}header)
  endif()

  if(tests AND SHOAL_TESTS)
    add_executable(${library}_test ${tests})
    target_link_libraries(${library}_test PRIVATE ${library} GTest::gmock_main)
    shoal_use_header(${library}_test shoal_${torch}test_header)
    if(arg_NO_TORCH)
      shoal_register_each_test(${library}_test)
    else()
      shoal_register_test_files(${library}_test ${tests})
    endif()
  endif()
endfunction()

# More ranks than cores that measure, under ThreadSanitizer for most of a minute. ctest runs these alone:
# beside another test they would come near their limit.
set(SHOAL_LONELY_TESTS_shoal_comm_test Measure.EveryOperationOfEveryEngine)

# One ctest entry per TEST: a process without LibTorch starts in milliseconds. gtest_discover_tests hands
# PROPERTIES on as one flat list: a value that is a list would shift all that follow it, silently.
function(shoal_register_each_test target)
  set(lonely ${SHOAL_LONELY_TESTS_${target}})
  set(common TEST_PREFIX ${target}. DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT 120)
  gtest_discover_tests(${target} TEST_FILTER "-${lonely}" ${common})
  if(lonely)
    gtest_discover_tests(${target} TEST_FILTER "${lonely}" ${common} RUN_SERIAL TRUE)
  endif()
endfunction()

# One intra-op thread: two OpenMP pools on two cores take each other's time.
set(SHOAL_TEST_ENVIRONMENT OMP_NUM_THREADS=1 MKL_NUM_THREADS=1)

# One ctest entry per *_test.cc: loading LibTorch costs half a second each time.
function(shoal_register_test_files target)
  foreach(file IN LISTS ARGN)
    cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
    add_test(NAME ${target}.${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
             COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${target}> -DSOURCE=${file}
                     -P ${PROJECT_SOURCE_DIR}/cmake/RunTestFile.cmake)
    set_tests_properties(${target}.${name} PROPERTIES TIMEOUT 300
                         ENVIRONMENT "${SHOAL_TEST_ENVIRONMENT}")
  endforeach()
endfunction()
