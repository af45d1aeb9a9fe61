# Manual pages and completions are printed by the programs themselves, from the tables that they execute, so they cannot
# disagree with them.
function(vhive_pages program)
    set(man ${CMAKE_BINARY_DIR}/man)
    set(outputs ${man}/${program}.1)
    set(commands COMMAND ${program} __man > ${man}/${program}.1)
    foreach(shell IN ITEMS bash zsh fish)
        set(file ${CMAKE_BINARY_DIR}/completions/${shell}/${program})
        list(APPEND outputs ${file})
        list(APPEND commands COMMAND ${program} completion ${shell} > ${file})
        file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/completions/${shell})
    endforeach()
    file(MAKE_DIRECTORY ${man})
    if(program STREQUAL "vhive-ctl")
        list(APPEND outputs ${man}/vhive.yaml.5)
        list(APPEND commands COMMAND ${program} __man config > ${man}/vhive.yaml.5)
        install(FILES ${man}/vhive.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
    endif()
    add_custom_command(OUTPUT ${outputs} ${commands} DEPENDS ${program} VERBATIM)
    add_custom_target(${program}-pages ALL DEPENDS ${outputs})
    install(FILES ${man}/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    set(completions ${CMAKE_BINARY_DIR}/completions)
    install(FILES ${completions}/bash/${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${completions}/zsh/${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
            RENAME _${program})
    install(FILES ${completions}/fish/${program} DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d
            RENAME ${program}.fish)
endfunction()

# vhive_manual(HEADER...): libvhive(3) from the public headers.
function(vhive_manual)
    set(page ${CMAKE_BINARY_DIR}/man/libvhive.3)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/man)
    add_custom_command(OUTPUT ${page}
        COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/scripts/man3.py ${PROJECT_VERSION} ${ARGN} > ${page}
        DEPENDS ${PROJECT_SOURCE_DIR}/scripts/man3.py ${ARGN} VERBATIM)
    add_custom_target(libvhive-page ALL DEPENDS ${page})
    install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
endfunction()
