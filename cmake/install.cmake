# The library as others find it: find_package(xgrad) with the target xgrad::xgrad, and pkg-config. Everything
# is relative to the prefix, so an installed tree can be moved.
include(CMakePackageConfigHelpers)
block()

get_target_property(type xgrad TYPE)
if(type STREQUAL "SHARED_LIBRARY")
  set(XGRAD_IS_SHARED TRUE)
else()
  set(XGRAD_IS_SHARED FALSE)
endif()

install(TARGETS xgrad EXPORT xgradTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/xgrad DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.hpp")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/xgrad)

# find_package(xgrad). Before 1.0 a new minor version may break its users.
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/xgrad)
install(EXPORT xgradTargets NAMESPACE xgrad:: DESTINATION ${config_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/xgradConfig.cmake.in
  ${PROJECT_BINARY_DIR}/xgradConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/xgradConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/xgradConfig.cmake ${PROJECT_BINARY_DIR}/xgradConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/xgradOpenBLAS.cmake ${PROJECT_SOURCE_DIR}/cmake/xgradGemm.cmake
        DESTINATION ${config_dir})

# pkg-config. A static libxgrad needs the libraries it stands on at every link, with --static or without, so
# there they are public. They are named here, not required as packages: openblas.pc asks for the Fortran
# runtime under --static, which only a static OpenBLAS needs.
set(libs "-lopenblas")
find_library(XGRAD_OPENBLAS_SYSTEM openblas PATHS ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES} NO_DEFAULT_PATH)
mark_as_advanced(XGRAD_OPENBLAS_SYSTEM)
if(NOT XGRAD_OPENBLAS_SYSTEM AND IS_ABSOLUTE "${OpenBLAS_LIBRARIES}")
  cmake_path(GET OpenBLAS_LIBRARIES PARENT_PATH folder)
  string(PREPEND libs "-L\"${folder}\" ")
endif()
if(XGRAD_GEMM_LIBRARIES)
  list(JOIN XGRAD_GEMM_LIBRARIES " " gemm)
  string(PREPEND libs "${gemm} ")
endif()
string(APPEND libs " -lz -pthread")
foreach(library ${CMAKE_DL_LIBS})
  string(APPEND libs " -l${library}")
endforeach()
if(XGRAD_IS_SHARED)
  set(XGRAD_PC_LIBS "")
  set(XGRAD_PC_LIBS_PRIVATE " ${libs}")
else()
  set(XGRAD_PC_LIBS " ${libs}")
  set(XGRAD_PC_LIBS_PRIVATE "")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(XGRAD_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(XGRAD_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(XGRAD_PC_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(XGRAD_PC_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/xgrad.pc.in ${PROJECT_BINARY_DIR}/xgrad.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/xgrad.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endblock()
