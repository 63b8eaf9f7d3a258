# The command build/bin/shoal, what `cmake --install` copies, and the target shoal::shoal.
include(CMakePackageConfigHelpers)

get_property(modules GLOBAL PROPERTY SHOAL_MODULES)

# Everything in one name, for programs that do not want to choose.
add_library(shoal_all INTERFACE)
add_library(shoal::shoal ALIAS shoal_all)
set_target_properties(shoal_all PROPERTIES EXPORT_NAME shoal)
set_target_properties(shoal_base PROPERTIES EXPORT_NAME base)
target_link_libraries(shoal_all INTERFACE ${modules})

# What a plugin is compiled with. It links none of shoal's libraries: see shoal_add_plugin.
if(NOT SHOAL_TORCH_FREE)
  add_library(shoal_plugin INTERFACE)
  add_library(shoal::plugin ALIAS shoal_plugin)
  set_target_properties(shoal_plugin PROPERTIES EXPORT_NAME plugin)
  target_link_libraries(shoal_plugin INTERFACE shoal_base torch c10)
  install(TARGETS shoal_plugin EXPORT shoal)
  include(ShoalPlugin)
endif()

# A program that loads plugins has all of shoal, used by itself or not, and shows it to them.
function(shoal_takes_plugins target)
  list(JOIN modules "," libraries)
  set_target_properties(${target} PROPERTIES LINK_LIBRARY_OVERRIDE "WHOLE_ARCHIVE,${libraries}")
  set(symbols ${PROJECT_SOURCE_DIR}/cmake/plugin_symbols.list)
  target_link_options(${target} PRIVATE -Wl,--dynamic-list=${symbols})
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${symbols})
endfunction()

# The commit that `shoal --version` prints.
if(TARGET shoal_cli)
  set(generated ${CMAKE_BINARY_DIR}/generated)
  add_custom_target(shoal_commit
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DHEADER=${generated}/shoal_commit.h
            -P ${PROJECT_SOURCE_DIR}/cmake/ShoalCommit.cmake
    BYPRODUCTS ${generated}/shoal_commit.h COMMENT "" VERBATIM)
  add_dependencies(shoal_cli shoal_commit)
  target_include_directories(shoal_cli PRIVATE ${generated})
  set_source_files_properties(shoal/cli/build_commit.cc PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endif()

if(TARGET shoal_cli AND EXISTS ${PROJECT_SOURCE_DIR}/shoal/cli/main.cc)
  add_executable(shoal_command shoal/cli/main.cc)
  set_target_properties(shoal_command PROPERTIES OUTPUT_NAME shoal)
  target_link_libraries(shoal_command PRIVATE shoal_all)
  shoal_takes_plugins(shoal_command)
  shoal_use_header(shoal_command shoal_torch_header)
  install(TARGETS shoal_command)
  add_custom_target(shoal_product DEPENDS shoal_command)  # what `make build` makes
endif()

# What `make bench` measures with: a program for each file of bench/. Nothing else needs them.
file(GLOB bench CONFIGURE_DEPENDS bench/*.cc)
if(bench AND NOT SHOAL_TORCH_FREE)
  add_custom_target(bench)
  foreach(source IN LISTS bench)
    cmake_path(GET source STEM name)
    add_executable(${name} EXCLUDE_FROM_ALL ${source})
    target_link_libraries(${name} PRIVATE shoal_all)
    shoal_use_header(${name} shoal_torch_header)
    add_dependencies(bench ${name})
  endforeach()
endif()

# A program for each example in C++, built and run by the tests: build/bin/examples/<name>.
file(GLOB examples CONFIGURE_DEPENDS examples/*.cc)
if(examples AND SHOAL_TESTS AND NOT SHOAL_TORCH_FREE)
  foreach(source IN LISTS examples)
    cmake_path(GET source STEM name)
    if(name STREQUAL "plugin")
      continue()
    endif()
    add_executable(example_${name} ${source})
    set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name}
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/examples)
    target_link_libraries(example_${name} PRIVATE shoal_all)
    shoal_use_header(example_${name} shoal_torch_header)
    add_test(NAME example.${name} COMMAND example_${name})
    set_tests_properties(example.${name} PROPERTIES TIMEOUT 120
                         ENVIRONMENT "OMP_NUM_THREADS=1;MKL_NUM_THREADS=1")
  endforeach()
  shoal_add_plugin(example_plugin examples/plugin.cc)
  set_target_properties(example_plugin PROPERTIES OUTPUT_NAME plugin
                        LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/examples)
  shoal_use_header(example_plugin shoal_torch_header)
  set(library $<TARGET_FILE:example_plugin>)
  add_test(NAME example.plugin WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
           COMMAND shoal_command train examples/plugin.toml -n 2
                   --set model.plugin=${library} --set data.plugin=${library})
  set_tests_properties(example.plugin PROPERTIES TIMEOUT 120)
  # The same program as two processes.
  add_test(NAME example.own_module.launched
           COMMAND shoal_command run -n 2 -- $<TARGET_FILE:example_own_module>)
  set_tests_properties(example.own_module.launched PROPERTIES TIMEOUT 120)
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/shoal)
install(TARGETS ${modules} shoal_all shoal_base EXPORT shoal)
install(EXPORT shoal NAMESPACE shoal:: FILE shoal-targets.cmake DESTINATION ${package})
install(DIRECTORY shoal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
configure_package_config_file(cmake/shoal-config.cmake.in ${CMAKE_BINARY_DIR}/shoal-config.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/shoal-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/shoal-config.cmake
              ${CMAKE_BINARY_DIR}/shoal-config-version.cmake
              cmake/ShoalDependencies.cmake cmake/ShoalPlugin.cmake DESTINATION ${package})
