# Prints each line of code that waits for the device without saying so: a fence, copy_to_host, values_on_host, or a
# deep_copy or a mirror copy without an execution space, and a launch whose body CUDA may have to wait for
# (as_argument, core/parallel.hpp). A line that must wait carries the comment `// fences: documented`.
# Usage: awk -f hidden_fences.awk <header>...; exit status 1 if anything was printed.

FNR == 1 { in_comment = 0; pending = "" }

{
  documented = $0 ~ /\/\/ fences: documented/
  code = without_comments($0)
  if (pending != "") { code = pending code; pending = "" }
}

!documented && code ~ /(fence|copy_to_host|values_on_host)[ \t]*\(/ { report("a fence") }

!documented && code ~ /create_mirror_view_and_copy/ && code !~ /view_alloc/ { report("a mirror copy") }

!documented && match(code, /deep_copy[ \t]*\(/) {
  rest = substr(code, RSTART + RLENGTH)
  if (rest ~ /^[ \t]*$/) { pending = code " "; next } # the arguments begin on the next line
  first = rest
  sub(/[,)].*$/, "", first)
  if (tolower(first) !~ /exec|space/) report("a copy without an execution space")
}

# Loops of a team (core/team.hpp) are no launches: they have no label.
code ~ /parallel_(for|reduce|scan)[ \t]*\([ \t]*(std::string|")/ && code !~ /as_argument/ {
  report("a launch without as_argument")
}

END { exit found > 0 }

function without_comments(text,    start, stop, line) {
  while (1) {
    if (in_comment) {
      stop = index(text, "*/")
      if (stop == 0) return ""
      text = substr(text, stop + 2)
      in_comment = 0
    }
    start = index(text, "/*")
    line = index(text, "//")
    if (line > 0 && (start == 0 || line < start)) return substr(text, 1, line - 1)
    if (start == 0) return text
    stop = index(substr(text, start + 2), "*/")
    if (stop == 0) { in_comment = 1; return substr(text, 1, start - 1) }
    text = substr(text, 1, start - 1) " " substr(text, start + 2 + stop + 1)
  }
}

function report(what) { print FILENAME ":" FNR ": " what ": " $0; ++found }
