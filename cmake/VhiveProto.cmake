# vhive_proto(TARGET FILE): compiles proto/FILE with protoc-c into TARGET, in the build folder only. Sources of TARGET
# include what comes out by its name: "helloworld.pb-c.h".
find_program(PROTOC_C protoc-c REQUIRED)

function(vhive_proto target file)
    get_filename_component(name ${file} NAME_WE)
    get_filename_component(dir ${PROJECT_SOURCE_DIR}/proto/${file} DIRECTORY)
    set(stem ${CMAKE_CURRENT_BINARY_DIR}/${name}.pb-c)
    add_custom_command(OUTPUT ${stem}.c ${stem}.h
        COMMAND ${PROTOC_C} --c_out=${CMAKE_CURRENT_BINARY_DIR} --proto_path=${dir} ${name}.proto
        DEPENDS ${PROJECT_SOURCE_DIR}/proto/${file} VERBATIM)
    set_source_files_properties(${stem}.c PROPERTIES COMPILE_OPTIONS -w)
    target_sources(${target} PRIVATE ${stem}.c ${stem}.h)
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
