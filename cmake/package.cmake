# `cpack` makes a tarball of everything, which can be unpacked anywhere, and two Debian packages as distributions split them:
# libmaxstorage<ABI> with the shared library, libmaxstorage-dev with what compiling needs.
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME maxstorage)
set(CPACK_PACKAGE_VENDOR maxstorage)
# Whoever hands packages on says whom to ask.
set(MAXSTORAGE_PACKAGE_CONTACT "maxstorage maintainers <maintainers@maxstorage.invalid>" CACHE STRING "Name and address in the packages")
set(CPACK_PACKAGE_CONTACT "${MAXSTORAGE_PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "native reader of MaxCompute tables")
set(CPACK_RESOURCE_FILE_LICENSE "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE")
set(CPACK_PACKAGE_FILE_NAME "maxstorage-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}")
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ABI ${abi})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libmaxstorage${abi})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libmaxstorage-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libmaxstorage${abi} (= ${PROJECT_VERSION}), libc6-dev")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
  "Reads MaxCompute tables as Arrow batches over the Storage API.\nThis package has the shared library.")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "Reads MaxCompute tables as Arrow batches over the Storage API.\nThis package has headers for C and C++, the static library, the CMake\npackage and the file of pkg-config.")

# Debian's tools say which packages the library needs; elsewhere it is what every library of ours needs, the C runtime.
find_program(MAXSTORAGE_SHLIBDEPS dpkg-shlibdeps)
find_program(MAXSTORAGE_FILE file)
if(MAXSTORAGE_SHLIBDEPS AND MAXSTORAGE_FILE)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
else()
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "libc6, libgcc-s1")
endif()

# Packages of programs that link the library depend on its package by this.
set(debian_shlibs "${CMAKE_CURRENT_BINARY_DIR}/debian/shlibs")
file(WRITE "${debian_shlibs}" "libmaxstorage ${abi} libmaxstorage${abi} (>= ${PROJECT_VERSION})\n")
set(debian_triggers "${CMAKE_CURRENT_BINARY_DIR}/debian/triggers")
file(WRITE "${debian_triggers}" "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA "${debian_shlibs};${debian_triggers}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/cmake/debian.cmake")
include(CPack)
