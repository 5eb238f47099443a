# Installs both libraries, the header with the Arrow structures, the C++ headers, the CMake package and the files of pkg-config. Every path
# inside the package is relative to where it lies, so an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/maxstorage")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

configure_package_config_file(cmake/maxstorageConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/maxstorageConfig.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
# Before 1.0 a minor version may break: only the same minor version is compatible.
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/maxstorageConfigVersion.cmake" COMPATIBILITY SameMinorVersion)

# Where a distribution gives an absolute directory, the package stays where it is installed.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  file(RELATIVE_PATH pc_to_prefix "${pkgconfig_dir}" "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH pc_to_prefix "/prefix/${pkgconfig_dir}" "/prefix")
endif()
string(REGEX REPLACE "/$" "" pc_to_prefix "${pc_to_prefix}")
foreach(kind LIB INCLUDE)
  string(TOLOWER "pc_${kind}dir" variable)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${kind}DIR}")
    set(${variable} "${CMAKE_INSTALL_${kind}DIR}")
  else()
    set(${variable} "\${prefix}/${CMAKE_INSTALL_${kind}DIR}")
  endif()
endforeach()
configure_file(cmake/maxstorage.pc.in "${CMAKE_CURRENT_BINARY_DIR}/maxstorage.pc" @ONLY)
configure_file(cmake/maxstorage-static.pc.in "${CMAKE_CURRENT_BINARY_DIR}/maxstorage-static.pc" @ONLY)

# Two components, as distributions split them: what programs need at run time, and what compiling needs.
install(PROGRAMS "${library_dir}/${shared_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES "${library_dir}/${shared_soname}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES LICENSE THIRD_PARTY_NOTICES DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)

install(FILES "${library_dir}/libmaxstorage.so" "${library_dir}/libmaxstorage.a" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(FILES include/maxstorage.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(FILES include/maxstorage/arrow_abi.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/maxstorage" COMPONENT development)
install(DIRECTORY bindings/cpp/include/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development FILES_MATCHING PATTERN "*.hpp")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/maxstorageConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/maxstorageConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT development)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/maxstorage.pc" "${CMAKE_CURRENT_BINARY_DIR}/maxstorage-static.pc" DESTINATION "${pkgconfig_dir}" COMPONENT development)
