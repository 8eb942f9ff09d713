# The page as one file, in a C++ source: the first of PARTS is its HTML, in
# which the others take the place of the lines "%STYLE%" and "%SCRIPT%".
# Run: cmake -DPARTS=<list> -DOUT=<file> -P join_page.cmake
cmake_minimum_required(VERSION 3.25)
set(STYLE "")
set(SCRIPT "")
list(POP_FRONT PARTS html_file)
file(READ ${html_file} html)
foreach(part IN LISTS PARTS)
  file(READ ${part} text)
  if(part MATCHES "\\.css$")
    string(APPEND STYLE "${text}")
  else()
    string(APPEND SCRIPT "${text}")
  endif()
endforeach()
string(REPLACE "%STYLE%" "${STYLE}" html "${html}")
string(REPLACE "%SCRIPT%" "${SCRIPT}" html "${html}")
if(html MATCHES "\\)page\"")
  message(FATAL_ERROR "the page holds the end of the literal that it is put into")
endif()
file(WRITE ${OUT} "#include \"client/playground/page_html.h\"

namespace ddgan::playground {

const char kPageHtml[] = R\"page(${html})page\";

}  // namespace ddgan::playground
")
