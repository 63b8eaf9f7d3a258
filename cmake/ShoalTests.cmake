# Tests that span modules or look at the project as a whole. They live in tests/:
#   checks/          layering, sizes, format, docs, and that every test on disk is run
#   consumer/        a project of its own that finds the installed shoal
#   <any>/*_test.cc  one program, linked with everything
#   <any>/*_test.py  scripts; exit code 77 skips
#   plugins/*.cc     a library each for tests of what loads plugins: build/plugins/<name>.so; those
#                    in plugins/torch/ have models, layers and data
#   fuzz/*.cc        a program for each reader of files from outside, none of which needs LibTorch
set(tests ${PROJECT_SOURCE_DIR}/tests)

function(shoal_script_test name seconds)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds} SKIP_RETURN_CODE 77
                       ENVIRONMENT "${SHOAL_TEST_ENVIRONMENT};PYTHONDONTWRITEBYTECODE=1")
endfunction()

shoal_script_test(check.layering 60 ${Python3_EXECUTABLE} ${tests}/checks/layering.py)
shoal_script_test(check.size 60 ${Python3_EXECUTABLE} ${tests}/checks/size.py)
shoal_script_test(check.examples 60 ${Python3_EXECUTABLE} ${tests}/checks/examples.py)
shoal_script_test(check.format 120 ${tests}/checks/format.sh)
shoal_script_test(check.tests_run 300 ${Python3_EXECUTABLE} ${tests}/checks/tests_run.py
                  ${PROJECT_SOURCE_DIR} ${CMAKE_BINARY_DIR} ${CMAKE_CTEST_COMMAND})

set(plugins ${CMAKE_BINARY_DIR}/plugins)
file(GLOB plain_plugins CONFIGURE_DEPENDS ${tests}/plugins/*.cc)
file(GLOB torch_plugins CONFIGURE_DEPENDS ${tests}/plugins/torch/*.cc)
foreach(source IN LISTS plain_plugins)
  cmake_path(GET source STEM name)
  add_library(plugin_${name} MODULE ${source})
  target_link_libraries(plugin_${name} PRIVATE shoal_base)
  add_dependencies(shoal_core_test plugin_${name})
endforeach()
if(NOT SHOAL_TORCH_FREE)
  foreach(source IN LISTS torch_plugins)
    cmake_path(GET source STEM name)
    shoal_add_plugin(plugin_${name} ${source})
    shoal_use_header(plugin_${name} shoal_torch_header)
  endforeach()
else()
  set(torch_plugins "")
endif()
foreach(source IN LISTS plain_plugins torch_plugins)
  cmake_path(GET source STEM name)
  set_target_properties(plugin_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${plugins})
endforeach()
target_compile_definitions(shoal_core_test PRIVATE SHOAL_TEST_PLUGINS="${plugins}")
set_target_properties(shoal_core_test PROPERTIES ENABLE_EXPORTS ON)

# Each runs a fixed number of inputs here, and for a minute in `make fuzz`.
file(GLOB fuzz_targets CONFIGURE_DEPENDS ${tests}/fuzz/*.cc)
list(REMOVE_ITEM fuzz_targets ${tests}/fuzz/driver.cc)
if(NOT TARGET shoal_arrow)
  list(REMOVE_ITEM fuzz_targets ${tests}/fuzz/table.cc)
endif()
foreach(source IN LISTS fuzz_targets)
  cmake_path(GET source STEM name)
  add_executable(fuzz_${name} ${source} ${tests}/fuzz/driver.cc)
  target_link_libraries(fuzz_${name} PRIVATE shoal_data JPEG::JPEG PNG::PNG)
  shoal_use_header(fuzz_${name} shoal_header)
  add_test(NAME fuzz.${name} COMMAND fuzz_${name} --iterations 5000)
  set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 300)
endforeach()
if(TARGET shoal_arrow)
  add_dependencies(fuzz_table shoal_arrow)
endif()
# The header of a checkpoint's files is read without LibTorch, in a module with it.
target_sources(fuzz_safetensors PRIVATE ${PROJECT_SOURCE_DIR}/shoal/checkpoint/safetensors.cc)

if(NOT SHOAL_TORCH_FREE)
  file(GLOB program_tests CONFIGURE_DEPENDS ${tests}/*/*_test.cc)
  if(program_tests)
    add_executable(shoal_whole_test ${program_tests})
    target_link_libraries(shoal_whole_test PRIVATE shoal_all GTest::gmock_main)
    shoal_use_header(shoal_whole_test shoal_torch_test_header)
    shoal_register_test_files(shoal_whole_test ${program_tests})
  endif()

  # The consumer compiles against LibTorch without the precompiled header, and without sanitizers.
  if(EXISTS ${tests}/consumer/main.cpp AND NOT SHOAL_SANITIZE)
    shoal_script_test(consumer 600 ${tests}/consumer/run.sh ${CMAKE_BINARY_DIR}
                      "${CMAKE_PREFIX_PATH}")
  endif()
endif()

if(TARGET shoal_command)
  shoal_script_test(check.docs 60 ${tests}/checks/docs.sh $<TARGET_FILE:shoal_command>)
endif()

# A script finds the command as $SHOAL; without the torch modules there is none.
file(GLOB script_tests CONFIGURE_DEPENDS ${tests}/*/*_test.py)
foreach(script IN LISTS script_tests)
  cmake_path(RELATIVE_PATH script BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
  if(TARGET shoal_command OR name MATCHES "^tests/checks/")
    shoal_script_test(${name} 300 ${Python3_EXECUTABLE} ${script})
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "SHOAL=${CMAKE_BINARY_DIR}/bin/shoal")
  endif()
endforeach()
