# What shoal is built on. Read by the build and, installed, by shoal-config.cmake, so that a program
# that links shoal sees the very same libraries. SHOAL_TORCH_FREE says whether LibTorch is wanted.
include(CMakeFindDependencyMacro)

find_dependency(Threads)
find_dependency(fmt)
find_dependency(hwy)
find_dependency(nlohmann_json)
find_dependency(tomlplusplus)
find_dependency(OpenSSL COMPONENTS Crypto)
find_dependency(ZLIB)
foreach(pictures IN ITEMS JPEG:libjpeg62-turbo-dev PNG:libpng-dev)
  string(REPLACE ":" ";" words ${pictures})
  list(GET words 0 name)
  list(GET words 1 package)
  find_package(${name} QUIET)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} files cannot be read: install ${package}")
  endif()
endforeach()
if(NOT SHOAL_TORCH_FREE)
  # Torch's package file prints paths and asks for a newer policy; neither concerns the user.
  find_dependency(Torch)
endif()

# The torch wheel carries headers of another fmt release, whose symbols the system's library does
# not have. A folder that holds nothing but fmt, searched before torch's, makes all files agree.
function(shoal_prefer_system_fmt target)
  get_target_property(places fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  find_path(SHOAL_FMT_ROOT fmt/format.h PATHS ${places} REQUIRED NO_DEFAULT_PATH)
  mark_as_advanced(SHOAL_FMT_ROOT)
  set(first ${CMAKE_BINARY_DIR}/shoal_include_first)
  file(MAKE_DIRECTORY ${first})
  if(NOT EXISTS ${first}/fmt)
    file(CREATE_LINK ${SHOAL_FMT_ROOT}/fmt ${first}/fmt SYMBOLIC)
  endif()
  target_include_directories(${target} SYSTEM BEFORE INTERFACE $<BUILD_INTERFACE:${first}>)
endfunction()
