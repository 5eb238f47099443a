# Runs cargo and makes imported targets of what it builds.
set(MAXSTORAGE_CARGO_PROFILE release CACHE STRING "Cargo profile: release (what every test runs against) or dev")
set(MAXSTORAGE_CARGO_TARGET_DIR "${CMAKE_CURRENT_BINARY_DIR}/cargo" CACHE PATH "Where cargo builds")
find_program(MAXSTORAGE_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" REQUIRED)

# The dev profile builds into a directory of another name.
if(MAXSTORAGE_CARGO_PROFILE STREQUAL "dev")
  set(cargo_output "${MAXSTORAGE_CARGO_TARGET_DIR}/debug")
else()
  set(cargo_output "${MAXSTORAGE_CARGO_TARGET_DIR}/${MAXSTORAGE_CARGO_PROFILE}")
endif()

set(shared_file libmaxstorage.so.${PROJECT_VERSION})
set(shared_soname libmaxstorage.so.${abi})
set(library_dir "${CMAKE_CURRENT_BINARY_DIR}/lib")
file(MAKE_DIRECTORY "${library_dir}")

# Cargo knows best whether anything has to be built, so it is always asked.
add_custom_target(maxstorage_cargo ALL
  COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${MAXSTORAGE_CARGO_TARGET_DIR}"
          "${MAXSTORAGE_CARGO}" build --locked --profile "${MAXSTORAGE_CARGO_PROFILE}" -p maxstorage
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${cargo_output}/libmaxstorage.so" "${library_dir}/${shared_file}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${shared_file}" "${library_dir}/${shared_soname}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "${shared_soname}" "${library_dir}/libmaxstorage.so"
  COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${cargo_output}/libmaxstorage.a" "${library_dir}/libmaxstorage.a"
  BYPRODUCTS "${library_dir}/${shared_file}" "${library_dir}/libmaxstorage.a"
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  COMMENT "cargo build --profile ${MAXSTORAGE_CARGO_PROFILE} -p maxstorage"
  USES_TERMINAL VERBATIM)

# What a program needs besides the static library; a test compares the file with what rustc says.
file(STRINGS "${CMAKE_CURRENT_SOURCE_DIR}/cmake/native-static-libs.txt" native_static_libs LIMIT_COUNT 1)
string(REPLACE " " ";" native_static_list "${native_static_libs}")

add_library(maxstorage::maxstorage SHARED IMPORTED GLOBAL)
set_target_properties(maxstorage::maxstorage PROPERTIES
  IMPORTED_LOCATION "${library_dir}/${shared_file}"
  IMPORTED_SONAME ${shared_soname}
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include")
add_dependencies(maxstorage::maxstorage maxstorage_cargo)

add_library(maxstorage::maxstorage_static STATIC IMPORTED GLOBAL)
set_target_properties(maxstorage::maxstorage_static PROPERTIES
  IMPORTED_LOCATION "${library_dir}/libmaxstorage.a"
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include"
  INTERFACE_LINK_LIBRARIES "${native_static_list}")
add_dependencies(maxstorage::maxstorage_static maxstorage_cargo)
add_library(maxstorage::static ALIAS maxstorage::maxstorage_static)

add_library(maxstorage::cpp INTERFACE IMPORTED GLOBAL)
set_target_properties(maxstorage::cpp PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/bindings/cpp/include"
  INTERFACE_COMPILE_FEATURES cxx_std_17
  INTERFACE_LINK_LIBRARIES maxstorage::maxstorage)
