# Writes shoal_commit.h when the checkout has moved on: run with -P at every build, so that the
# command knows its commit without configuring anew. SOURCE, HEADER: paths. Empty where the sources
# are no git checkout of their own.
set(commit "")
set(modified 0)
execute_process(COMMAND git rev-parse --show-toplevel WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(top STREQUAL SOURCE)
  execute_process(COMMAND git log -1 "--format=%h of %cs" --abbrev=12 WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  execute_process(COMMAND git --no-optional-locks status --porcelain --untracked-files=no
                  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(modified 1)
  endif()
endif()
set(text "#define SHOAL_COMMIT \"${commit}\"\n#define SHOAL_MODIFIED ${modified}\n")
set(present "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} present)
endif()
if(NOT present STREQUAL text)
  file(WRITE ${HEADER} "${text}")
endif()
