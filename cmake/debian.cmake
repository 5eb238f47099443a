# Run by cpack over the staged files, for what Debian wants otherwise than other systems: in each package its licence and its changelog under
# /usr/share/doc/PACKAGE; shared libraries without symbols that no loader needs, and not executable.
if(CPACK_GENERATOR STREQUAL "DEB")
  string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, if that is set
  foreach(component runtime development)
    string(TOUPPER "${component}" upper)
    set(package "${CPACK_DEBIAN_${upper}_PACKAGE_NAME}")
    set(directory "${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share/doc/${package}")
    file(MAKE_DIRECTORY "${directory}")
    file(WRITE "${directory}/copyright"
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: maxstorage

Files: *
Copyright: 2026 the authors of maxstorage
License: Apache-2.0
Comment: What the library contains of others is under the licences in
 /usr/share/doc/maxstorage/THIRD_PARTY_NOTICES of libmaxstorage${CPACK_DEBIAN_ABI}.

License: Apache-2.0
 On Debian systems, the text of the licence is in
 /usr/share/common-licenses/Apache-2.0.
")
    file(WRITE "${directory}/changelog"
"${package} (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * Version ${CPACK_PACKAGE_VERSION}; CHANGELOG.md of the sources tells what is new.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
    execute_process(COMMAND gzip -9nf "${directory}/changelog" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
  file(GLOB_RECURSE libraries "${CPACK_TEMPORARY_DIRECTORY}/*/lib*.so.*")
  foreach(library IN LISTS libraries)
    if(NOT IS_SYMLINK "${library}")
      execute_process(COMMAND strip --strip-unneeded --remove-section=.comment --remove-section=.note "${library}" COMMAND_ERROR_IS_FATAL ANY)
      file(CHMOD "${library}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
    endif()
  endforeach()
  file(GLOB_RECURSE archives "${CPACK_TEMPORARY_DIRECTORY}/*/lib*.a")
  foreach(archive IN LISTS archives)
    execute_process(COMMAND strip --strip-debug "${archive}" COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
endif()
