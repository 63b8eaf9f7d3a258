# The Python package shoal in build/python: PyTorch on shoal's communication. Skipped, with a line
# that says why, where LibTorch has no Python part or Python's headers are missing.
if(SHOAL_TORCH_FREE OR SHOAL_SANITIZE)
  return()
endif()

# The Python that LibTorch is installed for, which need not be the first one on the path.
set(site ${TORCH_INSTALL_PREFIX}/..)
cmake_path(NORMAL_PATH site)
set(version "")
if(site MATCHES "/python(3\\.[0-9]+)/site-packages/?$")
  set(version ${CMAKE_MATCH_1})
endif()
find_library(SHOAL_TORCH_PYTHON torch_python PATHS ${TORCH_INSTALL_PREFIX}/lib NO_DEFAULT_PATH)
find_path(SHOAL_PYTHON_INCLUDE Python.h PATHS ${site}/../../../include/python${version}
          /usr/include/python${version} NO_DEFAULT_PATH)
mark_as_advanced(SHOAL_TORCH_PYTHON SHOAL_PYTHON_INCLUDE)
if(NOT SHOAL_TORCH_PYTHON OR NOT version)
  message(STATUS "The Python package is not built: this LibTorch is none of a Python")
  return()
elseif(NOT SHOAL_PYTHON_INCLUDE)
  message(STATUS "The Python package is not built: install python3-dev for Python ${version}")
  return()
endif()

set(package ${CMAKE_BINARY_DIR}/python/shoal)
add_library(shoal_python MODULE python/c10d_module.cc)
target_link_libraries(shoal_python PRIVATE shoal_tensor ${SHOAL_TORCH_PYTHON})
target_include_directories(shoal_python SYSTEM PRIVATE ${SHOAL_PYTHON_INCLUDE})
set_target_properties(shoal_python PROPERTIES PREFIX "" OUTPUT_NAME _c10d
                      LIBRARY_OUTPUT_DIRECTORY ${package})
shoal_use_header(shoal_python shoal_torch_header)
if(TARGET shoal_product)
  add_dependencies(shoal_product shoal_python)
endif()
configure_file(python/shoal/__init__.py ${package}/__init__.py COPYONLY)

# The project's own Python finds the package without being told.
cmake_path(IS_PREFIX PROJECT_SOURCE_DIR ${site} own)
if(own)
  file(WRITE ${site}/shoal.pth "${CMAKE_BINARY_DIR}/python\n")
endif()
