# The half of a CUDA build of LibTorch that runs on the CPU, as a package Torch for CMake. PyPI has no
# other builds for x86-64 Linux, and their own TorchConfig.cmake asks for a CUDA toolkit. What
# libtorch_cpu.so needs of CUDA are two small libraries, which its run path finds beside it.
# tools/second_torch.sh copies this to torch/share/cmake/TorchOfCpu/TorchConfig.cmake.
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH TORCH_INSTALL_PREFIX)
cmake_path(GET TORCH_INSTALL_PREFIX PARENT_PATH TORCH_INSTALL_PREFIX)
cmake_path(GET TORCH_INSTALL_PREFIX PARENT_PATH TORCH_INSTALL_PREFIX)
set(TORCH_INCLUDE_DIRS ${TORCH_INSTALL_PREFIX}/include
                       ${TORCH_INSTALL_PREFIX}/include/torch/csrc/api/include)
set(TORCH_LIBRARIES torch)
set(TORCH_CXX_FLAGS "")
set(TORCH_FOUND TRUE)
if(TARGET torch)
  return()
endif()
foreach(library IN ITEMS c10 torch_cpu)
  add_library(${library} SHARED IMPORTED)
  set_target_properties(${library} PROPERTIES
    IMPORTED_LOCATION ${TORCH_INSTALL_PREFIX}/lib/lib${library}.so
    INTERFACE_INCLUDE_DIRECTORIES "${TORCH_INCLUDE_DIRS}")
endforeach()
target_compile_definitions(torch_cpu INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
add_library(torch INTERFACE IMPORTED)
target_link_libraries(torch INTERFACE torch_cpu c10)
