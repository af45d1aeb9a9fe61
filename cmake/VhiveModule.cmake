# vhive_module(NAME DEPS mod... SOURCES file... [LIBS pkg-config-target...])
#
# One object library per folder under lib/. A module may use only modules declared before it, so the graph is
# acyclic by construction; only the folders of declared modules are on its include path, so an undeclared include
# does not compile. tests/guards/layering.py and the diagram in docs/architecture.md read the same lines
# (scripts/modules.py), so names are written out there, not computed.
define_property(GLOBAL PROPERTY VHIVE_MODULES BRIEF_DOCS "modules in order" FULL_DOCS "modules in order")

function(vhive_module name)
    cmake_parse_arguments(M "" "" "DEPS;SOURCES;LIBS" ${ARGN})
    get_property(known GLOBAL PROPERTY VHIVE_MODULES)
    add_library(vhive_${name} OBJECT ${M_SOURCES})
    target_include_directories(vhive_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR})
    foreach(dep IN LISTS M_DEPS)
        if(NOT dep IN_LIST known)
            message(FATAL_ERROR "module ${name} depends on ${dep}, which is not declared before it")
        endif()
        target_include_directories(vhive_${name} PRIVATE ${PROJECT_SOURCE_DIR}/lib/${dep})
    endforeach()
    # Private link of an object library gives it the packages' compile flags; vhive_link() repeats them for users.
    target_link_libraries(vhive_${name} PRIVATE vhive_flags ${M_LIBS})
    set_target_properties(vhive_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
    set_property(GLOBAL APPEND PROPERTY VHIVE_MODULES ${name})
    set_property(GLOBAL PROPERTY VHIVE_DEPS_${name} "${M_DEPS}")
    set_property(GLOBAL PROPERTY VHIVE_LIBS_${name} "${M_LIBS}")
endfunction()

# All modules that `out` needs: the named ones and everything below them.
function(vhive_closure out)
    set(todo ${ARGN})
    set(seen "")
    while(todo)
        list(POP_FRONT todo m)
        if(NOT m IN_LIST seen)
            list(APPEND seen ${m})
            get_property(deps GLOBAL PROPERTY VHIVE_DEPS_${m})
            list(APPEND todo ${deps})
        endif()
    endwhile()
    set(${out} ${seen} PARENT_SCOPE)
endfunction()

# vhive_link(TARGET mod...): puts the objects of the modules and of everything below them into TARGET, with their
# packages, and their folders, those of generated headers too, on its include path.
function(vhive_link target)
    vhive_closure(mods ${ARGN})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(${target} PRIVATE vhive_flags)
    foreach(m IN LISTS mods)
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:vhive_${m}>)
        target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib/${m} ${PROJECT_BINARY_DIR}/lib/${m})
        get_property(libs GLOBAL PROPERTY VHIVE_LIBS_${m})
        target_link_libraries(${target} PRIVATE ${libs})
    endforeach()
endfunction()

# vhive_uses(TARGET mod...): declares that TARGET includes headers of the modules without their objects, because it is
# built for another world (agent, preload library). A custom target, whose command names the folders itself, is declared
# by it as well.
function(vhive_uses target)
    get_target_property(type ${target} TYPE)
    foreach(m IN LISTS ARGN)
        if(NOT type STREQUAL "UTILITY")
            target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/lib/${m})
        endif()
    endforeach()
endfunction()
