# One step of the consumer tests; tests/system/consumers/CMakeLists.txt gives the variables.
#   cmake -D STEP=add_subdirectory|install|find_package|pkg_config -D KIND=static|shared ... -P run.cmake
# The library is compiled once more, as a part of the add_subdirectory project, with the kernels for baseline
# x86-64 alone to save time: static and shared objects are the same, so its other kind costs a link. The kind of the build under test is installed from that build,
# the other kind from the add_subdirectory project.
cmake_minimum_required(VERSION 3.25)

set(prefix "${WORK}/moved here ${KIND}")
set(embedded "${WORK}/add_subdirectory")
if(KIND STREQUAL "shared")
  set(shared ON)
else()
  set(shared OFF)
endif()
unset(ENV{DESTDIR})
if(NOT DEFINED ENV{CMAKE_BUILD_PARALLEL_LEVEL})
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  if(cores GREATER 0)
    set(ENV{CMAKE_BUILD_PARALLEL_LEVEL} ${cores})
  endif()
endif()

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    list(JOIN ARGV " " line)
    message(FATAL_ERROR "failed (${code}): ${line}")
  endif()
endfunction()

# Configures and builds one of the consumer projects, and runs it.
function(build_and_run source binary)
  run(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/${source}" -B "${binary}" -G "${GENERATOR}"
      "-DCMAKE_CXX_COMPILER=${CXX}" ${ARGN})
  run(${CMAKE_COMMAND} --build "${binary}")
  run("${binary}/consumer")
endfunction()

if(STEP STREQUAL "add_subdirectory")
  build_and_run(add_subdirectory "${embedded}" -DBUILD_SHARED_LIBS=${shared} -DXGRAD_INSTALL=ON
                -DXGRAD_VECTOR_KERNELS=OFF)

elseif(STEP STREQUAL "install")
  file(REMOVE_RECURSE "${prefix}" "${WORK}/installed")
  if(KIND STREQUAL BUILD_KIND)
    run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${WORK}/installed")
  else()
    run(${CMAKE_COMMAND} --install "${embedded}" --prefix "${WORK}/installed")
  endif()
  # What is installed works from anywhere, so it must not know where it was made.
  file(RENAME "${WORK}/installed" "${prefix}")
  file(GLOB_RECURSE texts "${prefix}/*.cmake" "${prefix}/*.pc" "${prefix}/*.hpp")
  foreach(text IN LISTS texts)
    file(READ "${text}" content)
    foreach(folder "${SOURCE}" "${BUILD}" "${WORK}")
      string(FIND "${content}" "${folder}" position)
      if(NOT position EQUAL -1)
        message(FATAL_ERROR "${text} contains ${folder}")
      endif()
    endforeach()
  endforeach()
  file(GLOB_RECURSE static "${prefix}/libxgrad.a")
  file(GLOB_RECURSE dynamic "${prefix}/libxgrad.so")
  if((shared AND (static OR NOT dynamic)) OR (NOT shared AND (dynamic OR NOT static)))
    message(FATAL_ERROR "not a ${KIND} library: '${static}' '${dynamic}'")
  endif()

elseif(STEP STREQUAL "find_package")
  file(REMOVE_RECURSE "${WORK}/find_package-${KIND}")
  build_and_run(find_package "${WORK}/find_package-${KIND}" "-DCMAKE_PREFIX_PATH=${prefix}")

elseif(STEP STREQUAL "pkg_config")
  file(MAKE_DIRECTORY "${WORK}/pkg_config-${KIND}")
  file(GLOB_RECURSE pc "${prefix}/xgrad.pc")
  cmake_path(GET pc PARENT_PATH folder)
  cmake_path(GET folder PARENT_PATH libdir)
  set(ENV{PKG_CONFIG_PATH} "${folder}")
  set(ENV{LD_LIBRARY_PATH} "${libdir}")
  foreach(mode IN ITEMS "" --static)
    set(program "${WORK}/pkg_config-${KIND}/consumer${mode}")
    file(REMOVE "${program}")
    run("${CMAKE_CURRENT_LIST_DIR}/pkg_config/build.sh" "${CXX}" "${program}" ${mode})
    run("${program}")
  endforeach()

else()
  message(FATAL_ERROR "no such step: '${STEP}'")
endif()
