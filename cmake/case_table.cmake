# The sources of the case table, for the programs that go through its rows: benchmarks, mutation run, libtorch's suite.
# Not the table's own tests and what only they use.
file(GLOB XGRAD_CASE_TABLE CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cases/*.cpp)
list(FILTER XGRAD_CASE_TABLE EXCLUDE REGEX "(_test|/checks)\\.cpp$")
