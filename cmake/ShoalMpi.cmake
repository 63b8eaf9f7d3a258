# A module for each MPI library that is there, and a program that times its collectives. Which are
# there is no matter of building: `shoal comm engines` says what can be used, and why not.
find_package(PkgConfig QUIET)
if(SHOAL_SANITIZE OR NOT PKG_CONFIG_FOUND)
  return()
endif()

foreach(mpi IN ITEMS openmpi:ompi-c mpich:mpich)
  string(REPLACE ":" ";" words ${mpi})
  list(GET words 0 name)
  list(GET words 1 package)
  pkg_check_modules(SHOAL_${name} QUIET IMPORTED_TARGET ${package})
  if(NOT SHOAL_${name}_FOUND)
    message(STATUS "Engine mpi is built without ${name}: pkg-config knows no ${package}")
    continue()
  endif()
  add_library(shoal_mpi_module_${name} MODULE mpi/module.cc)
  add_executable(shoal_mpi_peer_${name} mpi/peer.cc)
  foreach(target IN ITEMS shoal_mpi_module_${name} shoal_mpi_peer_${name})
    target_link_libraries(${target} PRIVATE shoal_base PkgConfig::SHOAL_${name})
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
    # The C++ bindings of old headers want a library of their own.
    target_compile_definitions(${target} PRIVATE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
    set_target_properties(${target} PROPERTIES PREFIX ""
                          LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${SHOAL_MODULES}
                          RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${SHOAL_MODULES})
    if(TARGET shoal_product)
      add_dependencies(shoal_product ${target})
    endif()
  endforeach()
  install(TARGETS shoal_mpi_module_${name} LIBRARY DESTINATION ${SHOAL_MODULES})
  install(TARGETS shoal_mpi_peer_${name} RUNTIME DESTINATION ${SHOAL_MODULES})
endforeach()
