// Manual pages, in the macros of man(7). Pure.
#ifndef DDGAN_ENGINE_BASE_MANUAL_PAGE_H_
#define DDGAN_ENGINE_BASE_MANUAL_PAGE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "engine/base/option_table.h"
#include "engine/base/program_options.h"

namespace ddgan {

// The page of a program, or of one command of it, which has one of its own as
// git's have: ddgan-generate(1). An empty table leaves out what is about flags.
// `see_also` are names of other pages, without their section.
std::string ManualPage(const Program& program, absl::Span<const Option> table,
                       const std::vector<std::string>& see_also);

// A text as --help has it, in lines of up to 80 columns, as part of a page:
// paragraphs are filled, and a block of indented lines is a list of terms where
// it looks like one ("  term" above "      what it is", or "  term  what it
// is"), and otherwise as it stands.
std::string ManualText(absl::string_view text);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_MANUAL_PAGE_H_
