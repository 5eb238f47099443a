# Run by cpack over the staged files: each Debian package gets its licence as /usr/share/doc/PACKAGE/copyright.
if(CPACK_GENERATOR STREQUAL "DEB")
  foreach(component runtime development)
    string(TOUPPER "${component}" upper)
    set(directory "${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
    file(MAKE_DIRECTORY "${directory}")
    file(READ "${CPACK_RESOURCE_FILE_LICENSE}" licence)
    file(WRITE "${directory}/copyright"
      "maxstorage, ${CPACK_PACKAGE_VERSION}. Licence: Apache-2.0, as below; the licences of what the library contains are in\n/usr/share/doc/maxstorage/THIRD_PARTY_NOTICES.\n${licence}")
  endforeach()
endif()
