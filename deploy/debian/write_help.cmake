# Installs what PROGRAM, which is called NAME, prints about itself: manual pages,
# also of its commands, and completions for bash and zsh. Run by cmake --install.
set(out ${OUT}/${NAME})
file(REMOVE_RECURSE ${out})
file(MAKE_DIRECTORY ${out})

function(write file)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_FILE ${out}/${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(pages ${NAME}.1)
write(${NAME}.1 --help=man)
execute_process(COMMAND ${PROGRAM} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
if(help MATCHES "usage: ${NAME} COMMAND")
  string(REGEX MATCHALL "\n  [a-z_]+ " commands "${help}")
  foreach(command IN LISTS commands)
    string(STRIP "${command}" command)
    write(${NAME}-${command}.1 ${command} --help=man)
    list(APPEND pages ${NAME}-${command}.1)
  endforeach()
endif()
# As Debian has its pages; without the time, so that the bytes stay the same.
execute_process(COMMAND gzip -9n ${pages} WORKING_DIRECTORY ${out} COMMAND_ERROR_IS_FATAL ANY)
write(completion.bash --help=bash)
write(completion.zsh --help=zsh)

set(share "${CMAKE_INSTALL_PREFIX}/share")
list(TRANSFORM pages REPLACE "(.+)" "${out}/\\1.gz")
file(INSTALL ${pages} DESTINATION "${share}/man/man1")
file(INSTALL ${out}/completion.bash DESTINATION "${share}/bash-completion/completions"
  RENAME ${NAME})
file(INSTALL ${out}/completion.zsh DESTINATION "${share}/zsh/vendor-completions"
  RENAME _${NAME})
