# Options, compiler settings and dependencies that hold for every target.

option(SHOAL_TORCH_FREE "Build only the modules that do not use LibTorch" OFF)
option(SHOAL_WERROR "Treat warnings as errors" OFF)
option(SHOAL_TESTS "Build the tests" ON)
set(SHOAL_SANITIZE "" CACHE STRING "address (with undefined behaviour) or thread; empty: none")
set(TORCH_PREFIX "" CACHE PATH "An installed LibTorch 2.x; empty: from CMAKE_PREFIX_PATH")
set_property(CACHE SHOAL_SANITIZE PROPERTY STRINGS "" address thread)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# -O3 gains nothing here, the kernels are vectorized by hand, and costs compile time.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# Six files are compiled as one: a file that includes LibTorch costs 7 s before its own first line.
# The debug build and clang-tidy take each file alone, and so see an include that is missing.
if(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
endif()
set(CMAKE_UNITY_BUILD_BATCH_SIZE 6)

# Where modules that are loaded at run time lie, below the build folder and below the prefix.
include(GNUInstallDirs)
set(SHOAL_MODULES ${CMAKE_INSTALL_LIBDIR}/shoal)

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# -fPIC for programs too, where CMake would write -fPIE: a precompiled header fits only files that
# are compiled in the same way, and all torch modules and their tests share one.
unset(CMAKE_POSITION_INDEPENDENT_CODE)
add_compile_options(-fPIC -Wall -Wextra -Winvalid-pch -Werror=invalid-pch)
if(SHOAL_WERROR)
  add_compile_options(-Werror)
endif()

if(SHOAL_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=address,undefined)
elseif(SHOAL_SANITIZE STREQUAL "thread")
  if(NOT SHOAL_TORCH_FREE)
    message(FATAL_ERROR "SHOAL_SANITIZE=thread needs SHOAL_TORCH_FREE=ON: LibTorch is not "
                        "instrumented, so its threads would be reported as races")
  endif()
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=thread)
elseif(SHOAL_SANITIZE)
  message(FATAL_ERROR "SHOAL_SANITIZE is '${SHOAL_SANITIZE}': give address or thread")
endif()

# ccache reuses files compiled with a precompiled header only when told that it may. The base folder
# makes paths relative, so that build folders beside each other share what was compiled.
find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE})
endif()

if(TORCH_PREFIX)
  list(PREPEND CMAKE_PREFIX_PATH ${TORCH_PREFIX})
endif()
include(ShoalDependencies)
# Installed programs find LibTorch where it is now. (CMake's own INSTALL_RPATH_USE_LINK_PATH leaves out
# folders below the source tree, where .venv is.)
if(NOT SHOAL_TORCH_FREE)
  set(CMAKE_INSTALL_RPATH ${TORCH_INSTALL_PREFIX}/lib)
endif()
find_package(Python3 COMPONENTS Interpreter)

# What every module sees. toml++ is header only here: two files read TOML.
add_library(shoal_base INTERFACE)
target_compile_features(shoal_base INTERFACE cxx_std_20)
target_compile_definitions(shoal_base INTERFACE TOML_HEADER_ONLY=1
                           SHOAL_VERSION="${PROJECT_VERSION}")
target_link_libraries(shoal_base INTERFACE fmt::fmt nlohmann_json::nlohmann_json OpenSSL::Crypto
                                           ZLIB::ZLIB Threads::Threads)
target_include_directories(shoal_base INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                $<INSTALL_INTERFACE:include>)
shoal_prefer_system_fmt(shoal_base)

if(SHOAL_TESTS)
  enable_testing()
  include(GoogleTest)
  find_package(GTest REQUIRED)
endif()

# shoal_add_header(<name> [TORCH] [TEST]): a precompiled header that files of one kind share. Only
# files compiled with the same options may: hence one for each kind.
function(shoal_add_header name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH;TEST" "" "")
  set(source ${CMAKE_BINARY_DIR}/${name}.cc)
  file(WRITE ${source}.new "// Carries the precompiled header ${name}.\n")
  file(COPY_FILE ${source}.new ${source} ONLY_IF_DIFFERENT)
  add_library(${name} OBJECT ${source})
  set(headers <fmt/format.h> <algorithm> <chrono> <condition_variable> <cstdint> <filesystem>
              <functional> <map> <memory> <mutex> <optional> <set> <span> <string> <string_view>
              <thread> <vector>)
  target_link_libraries(${name} PRIVATE shoal_base)
  if(arg_TORCH)
    list(PREPEND headers <torch/torch.h>)
    target_link_libraries(${name} PRIVATE torch c10)
  endif()
  if(arg_TEST)
    list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
    target_link_libraries(${name} PRIVATE GTest::gmock)
    target_compile_options(${name} PRIVATE ${SHOAL_TEST_OPTIMIZATION})
  endif()
  # Without -fpch-preprocess ccache cannot tell when the header has changed.
  target_compile_options(${name} PRIVATE -fpch-preprocess)
  target_precompile_headers(${name} PRIVATE ${headers})
endfunction()

function(shoal_use_header target name)
  get_target_property(options ${name} COMPILE_OPTIONS)
  target_compile_options(${target} PRIVATE ${options})
  target_precompile_headers(${target} REUSE_FROM ${name})
endfunction()

# Tests wait for what they test, which is optimized; optimizing the tests themselves costs a third
# of their compile time.
set(SHOAL_TEST_OPTIMIZATION $<$<CONFIG:Release>:-O0>)

shoal_add_header(shoal_header)
if(NOT SHOAL_TORCH_FREE)
  shoal_add_header(shoal_torch_header TORCH)
endif()
if(SHOAL_TESTS)
  shoal_add_header(shoal_test_header TEST)
  if(NOT SHOAL_TORCH_FREE)
    shoal_add_header(shoal_torch_test_header TORCH TEST)
  endif()
endif()
