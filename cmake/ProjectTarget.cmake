# Compiler settings of the project's own targets; nothing is set globally.
include(CheckCCompilerFlag)
check_c_compiler_flag(-fcf-protection=full HAVE_CF_PROTECTION)
check_c_compiler_flag(-fstack-clash-protection HAVE_STACK_CLASH_PROTECTION)

# project_target(<target>): warnings, hardening, sanitizers and coverage for one target.
function(project_target target)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include")
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow
    -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Wpointer-arith
    -fstack-protector-strong -fPIE -fno-common
    $<$<BOOL:${HAVE_CF_PROTECTION}>:-fcf-protection=full>
    $<$<BOOL:${HAVE_STACK_CLASH_PROTECTION}>:-fstack-clash-protection>
    $<$<BOOL:${OTOROSHICTL_WERROR}>:-Werror>)
  if(OTOROSHICTL_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${OTOROSHICTL_SANITIZE}
      -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${OTOROSHICTL_SANITIZE})
  elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(${target} PRIVATE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  endif()
  if(OTOROSHICTL_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PRIVATE --coverage)
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_options(${target} PRIVATE -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
  endif()
endfunction()

# project_room(<room> SOURCES ... LINK ...): one folder of src/ as a static library, so that
# the linker and the include path keep the doors between rooms.
function(project_room room)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
  add_library(otoroshictl_${room} STATIC ${ROOM_SOURCES})
  project_target(otoroshictl_${room})
  target_link_libraries(otoroshictl_${room} PUBLIC ${ROOM_LINK})
endfunction()
