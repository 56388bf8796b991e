# Compiler options that every target of this project shares; none of them reaches a user's code.
add_library(xgrad_options INTERFACE)
target_compile_options(xgrad_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast -Wcast-qual)
# Sanitized code gives gcc false alarms; the other presets have every warning as an error.
if(XGRAD_WERROR AND NOT XGRAD_SANITIZE)
  target_compile_options(xgrad_options INTERFACE -Werror)
endif()
if(XGRAD_SANITIZE)
  target_compile_options(xgrad_options INTERFACE -fsanitize=${XGRAD_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # false alarms under sanitizers, as gcc's manual says
  target_link_options(xgrad_options INTERFACE -fsanitize=${XGRAD_SANITIZE})
endif()
if(XGRAD_COVERAGE)
  target_compile_options(xgrad_options INTERFACE --coverage -fprofile-abs-path)
  target_link_options(xgrad_options INTERFACE --coverage)
endif()
if(XGRAD_TIDY)
  find_program(XGRAD_CLANG_TIDY clang-tidy REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY ${XGRAD_CLANG_TIDY})
endif()
