# find_package(vhive): the shared library as vhive::vhive. Its headers need nothing beside the C library.
include(${CMAKE_CURRENT_LIST_DIR}/vhive-targets.cmake)
