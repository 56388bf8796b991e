# The libraries that xgrad stands on; the README says what each is for.
find_package(xtensor REQUIRED)
find_package(xsimd REQUIRED)
find_package(OpenBLAS REQUIRED)
# xtensor-blas is headers, used by one source; its package file would add a second BLAS and LAPACK to the link.
find_path(XGRAD_XTENSOR_BLAS_INCLUDE_DIR xtensor-blas/xlapack.hpp REQUIRED)
mark_as_advanced(XGRAD_XTENSOR_BLAS_INCLUDE_DIR)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
include(${CMAKE_CURRENT_LIST_DIR}/xgradOpenBLAS.cmake)
if(NOT XGRAD_GEMM MATCHES "^(openblas|onednn|cblas)$")
  message(FATAL_ERROR "XGRAD_GEMM: expected openblas, onednn or cblas, found '${XGRAD_GEMM}'")
endif()
include(${CMAKE_CURRENT_LIST_DIR}/xgradGemm.cmake)

# Warnings inside the libraries' headers are not ours.
foreach(target xtensor xtl xsimd)
  if(TARGET ${target})
    get_target_property(dirs ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(dirs)
      set_target_properties(${target} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${dirs}")
    endif()
  endif()
endforeach()
