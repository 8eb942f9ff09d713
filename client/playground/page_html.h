// The page, which the build makes of the files in page/ (join_page.cmake).
#ifndef DDGAN_CLIENT_PLAYGROUND_PAGE_HTML_H_
#define DDGAN_CLIENT_PLAYGROUND_PAGE_HTML_H_

namespace ddgan::playground {

extern const char kPageHtml[];

}  // namespace ddgan::playground

#endif  // DDGAN_CLIENT_PLAYGROUND_PAGE_HTML_H_
