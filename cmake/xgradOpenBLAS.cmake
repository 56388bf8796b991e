# Makes the target xgrad::openblas. OpenBLAS's own package files set variables, and only some builds of it
# define a target; this gives xgrad and, when it is a static library, its users one name that is looked up on
# the machine at hand. Installed beside xgradConfig.cmake.
if(NOT TARGET xgrad::openblas)
  add_library(xgrad::openblas INTERFACE IMPORTED)
  if(TARGET OpenBLAS::OpenBLAS)
    set_target_properties(xgrad::openblas PROPERTIES INTERFACE_LINK_LIBRARIES OpenBLAS::OpenBLAS)
  else()
    set_target_properties(xgrad::openblas PROPERTIES
      INTERFACE_LINK_LIBRARIES "${OpenBLAS_LIBRARIES}"
      INTERFACE_INCLUDE_DIRECTORIES "${OpenBLAS_INCLUDE_DIRS}")
  endif()
endif()
