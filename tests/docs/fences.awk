# Makes a program of the C++ fences of Markdown pages: awk -f fences.awk README.md docs/*.md > fences.cpp
# tests/docs/given.hpp has the main function and the names that fences use without declaring them.
#
# A fence ```cpp is the body of a function. A comment right before a fence says what else it is:
#   <!-- test: continue -->        the body goes on where the page's previous one ended
#   <!-- test: namespace -->       it stands outside of functions
#   <!-- test: compile -->         it is compiled, not run
#   <!-- test: output -->          no code: what the previous fence prints
#   <!-- no test: REASON -->       anything else, and every fence that is not C++
# Lines `before: CODE` and `after: CODE` in the comment are compiled around the fence, not shown.
# Exit status 1, and a line on stderr, for a fence or a mark that fits none of these.

FNR == 1 { end_page(); page = FILENAME; sub(/^.*\/docs\//, "docs/", page); sub(/^.*\/README/, "README", page)
           text = text "namespace page_" ++pages " {\n" }

in_fence && /^ *```/ { in_fence = 0; close_fence(); next }
in_fence {
  line = substr($0, indent + 1)
  if (language == "cpp" && line ~ /^#include/) {
    if (mark !~ /^no test:/ && !(line in included)) { included[line] = 1; includes = includes line "\n" }
    line = ""
  }
  code = code line "\n"
  next
}

in_mark { mark_line($0); next }
/^ *<!-- (no )?test:/ {
  mark = $0; sub(/^ *<!-- /, "", mark); in_mark = 1
  if (mark ~ /-->/) { in_mark = 0; sub(/ *-->.*/, "", mark) }
  next
}

/^ *```/ {
  match($0, /^ */); indent = RLENGTH
  language = substr($0, indent + 4); in_fence = 1; start = FNR; code = ""
  next
}
mark != "" && !/^ *$/ { fail("a mark before no fence: " mark) }

END { end_page(); if (failed) exit 1; write() }

function mark_line(line) {
  if (line ~ /-->/) { in_mark = 0; sub(/ *-->.*/, "", line) }
  if (line ~ /^ *before: /) { sub(/^ *before: /, "", line); before = before line "\n" }
  else if (line ~ /^ *after: /) { sub(/^ *after: /, "", line); after = after line "\n" }
  else if (line !~ /^ *$/) mark = mark " " line
}

function close_fence(    kind) {
  kind = mark
  sub(/^test: */, "", kind)
  code = before "#line " start + 1 " \"" page "\"\n" code after
  if (kind ~ /^no test: ./) ++left_out
  else if (kind == "output" && name != "") { sub(/^#line[^\n]*\n/, "", code); expected = code }
  else if (language != "cpp") fail("a fence of `" language "` needs a mark")
  else if (kind == "namespace") text = text code
  else if (kind == "continue" && name != "") body = body code
  else if (kind == "" || kind == "compile") { end_function(); name = page ":" start; body = code; runs = kind == "" }
  else fail("an unknown mark: " kind)
  mark = before = after = ""
}

function end_function() {
  if (name == "") return
  text = text "struct Fence" ++count " : Given {\n  void run() {\n" body "  }\n};\n"
  table = table "    {\"" name "\", " (runs ? "&run<page_" pages "::Fence" count ">" : "nullptr") ", "
  table = table (expected == "" ? "nullptr" : "R\"~~~(" expected ")~~~\"") "},\n"
  if (!runs) text = text "inline void (Fence" count "::*compiled_" count ")() = &Fence" count "::run;\n"
  name = body = expected = ""
}

function end_page() {
  if (in_fence) fail("a fence without an end")
  if (mark != "") fail("a mark before no fence: " mark)
  end_function()
  if (pages) text = text "}  // namespace\n"
}

function fail(words) { print page ":" FNR ": " words > "/dev/stderr"; failed = 1; mark = "" }

function write() {
  printf "%s", includes
  print "#include <tests/docs/given.hpp>\n"
  printf "%s", text
  print "const std::vector<Fence> fences = {\n" table "};"
}
