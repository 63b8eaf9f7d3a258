# shoal_add_plugin(<name> <source>...): the library <name>.so, a plugin for [model] plugin and
# [data] plugin of a job. Its sources see shoal's and LibTorch's headers; what they call of shoal is
# found in the command that loads it, of which there has to be one copy only. So it is not linked
# with shoal, and names that nobody has are told when it is loaded (shoal doctor --plugin).
function(shoal_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE shoal::plugin)
  set_target_properties(${name} PROPERTIES PREFIX "")
endfunction()
