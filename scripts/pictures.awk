# Three pictures in SVG out of the CSV that bench/curves writes: medians where there are repetitions.
# A row: "<picture>/<method>/<parameter>:<value>/real_time[_median]", times and counters by the header's names.
BEGIN {
  FS = ","
  width = 660; height = 400; left = 64; right = 150; top = 36; bottom = 52
  colour["rational"] = "#0b6fb8"; colour["iterates"] = "#d1495b"; colour["eigh"] = "#2e8b57"; colour["svd"] = "#7a5195"
  colour["newton_schulz"] = "#c77700"; colour["muon_ns5"] = "#555555"; colour["muon_gram_ns5"] = "#a0a0a0"
  title["rational"] = "rational"; title["iterates"] = "iterates"; title["eigh"] = "eigh"; title["svd"] = "svd"
  title["newton_schulz"] = "HTMuon_NS"
  title["muon_ns5"] = "Muon, five quintics"; title["muon_gram_ns5"] = "Muon by Gram NS"
}
{ gsub(/"/, "") }
$1 == "name" { for (i = 1; i <= NF; ++i) column[$i] = i; next }
!("name" in column) || !/\/real_time(_median)?,/ || /,true,/ { next }
{
  split($1, part, "/"); split(part[3], parameter, ":")
  picture = part[1]; method = part[2]; name = picture SUBSEP method
  repeated = $1 ~ /_median$/
  if (repeated) seen_median[picture] = 1
  cost = $column["gemm_limit"]; error = $column["rel_error"]
  x = picture == "error" ? cost : parameter[2]; y = picture == "error" ? error : cost
  if (!(name in points)) order[picture] = order[picture] " " method
  if (picture == "error" && points[name] > 0 && ys[name, points[name]] == y &&
      median[name, points[name]] == repeated) next  # the same plan again
  k = ++points[name]; xs[name, k] = x; ys[name, k] = y; median[name, k] = repeated
}
function log10(x) { return log(x) / log(10) }
function place_x(x) { return left + (width - left - right) * ((log_x ? log10(x) : x) - x0) / (x1 - x0) }
function place_y(y) { return height - bottom - (height - top - bottom) * (log10(y) - y0) / (y1 - y0) }
function text(x, y, anchor, fill, what) {
  printf "<text x='%.1f' y='%.1f' text-anchor='%s' fill='%s'>%s</text>\n", x, y, anchor, fill, what > file
}
function decade(k) { return k >= 0 && k <= 3 ? sprintf("%g", 10 ^ k) : sprintf("1e%d", k) }
function draw(picture, heading, x_title, y_title, logarithmic, \
              methods, count, i, k, n, name, path, x, y, last, used, step) {
  if (!(picture in order)) return
  file = folder "/" picture ".svg"; log_x = logarithmic; x0 = y0 = 1e9; x1 = y1 = -1e9
  count = split(order[picture], methods, " ")
  for (i = 1; i <= count; ++i) {
    name = picture SUBSEP methods[i]
    for (k = 1; k <= points[name]; ++k) {
      if (seen_median[picture] && !median[name, k]) continue
      x = log_x ? log10(xs[name, k]) : xs[name, k] + 0; y = log10(ys[name, k])
      if (x < x0) x0 = x
      if (x > x1) x1 = x
      if (y < y0) y0 = y
      if (y > y1) y1 = y
    }
  }
  x0 -= 0.04 * (x1 - x0); x1 += 0.04 * (x1 - x0); y0 -= 0.05 * (y1 - y0); y1 += 0.05 * (y1 - y0)
  printf "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' " \
         "font-family='sans-serif' font-size='12'>\n", width, height > file
  printf "<rect width='100%%' height='100%%' fill='white'/>\n" > file
  text(left, 20, "start", "#222", heading)
  for (k = int(y0 - 1); k <= y1; ++k) for (n = 1; n < 10; ++n) {
    y = k + log10(n)
    if (y < y0 || y > y1) continue
    y = place_y(n * 10 ^ k)
    printf "<path d='M%d %.1fH%d' stroke='%s'/>\n", left, y, width - right, n == 1 ? "#bbb" : "#eee" > file
    if (n == 1 || (y1 - y0 < 2.5 && (n == 2 || n == 5)))
      text(left - 6, y + 4, "end", "#444", n == 1 ? decade(k) : sprintf("%g", n * 10 ^ k))
  }
  if (picture == "power") {
    for (x = -0.5; x <= 1; x += 0.25) if (x >= x0 && x <= x1) mark(x, x)
  } else if (picture == "size") {
    for (x = 64; x <= 4096; x *= 2) if (log10(x) >= x0 && log10(x) <= x1) mark(x, x)
  } else {
    for (k = int(x0 - 1); k <= x1; ++k) for (n = 1; n < 10; ++n) {
      x = n * 10 ^ k
      if (log10(x) >= x0 && log10(x) <= x1 && (n == 1 || n == 2 || n == 5)) mark(x, x)
    }
  }
  text((left + width - right) / 2, height - 14, "middle", "#222", x_title)
  printf "<text transform='translate(16 %d) rotate(-90)' text-anchor='middle' fill='#222'>%s</text>\n",
         (top + height - bottom) / 2, y_title > file
  for (i = 1; i <= count; ++i) {
    name = picture SUBSEP methods[i]; path = ""; last = ""
    for (k = 1; k <= points[name]; ++k) {
      if (seen_median[picture] && !median[name, k]) continue
      x = place_x(xs[name, k]); y = place_y(ys[name, k])
      path = path sprintf("%s%.1f %.1f", path == "" ? "M" : "L", x, y)
      printf "<circle cx='%.1f' cy='%.1f' r='3.2' fill='%s'/>\n", x, y, colour[methods[i]] > file
      last = y
    }
    if (path == "") continue
    printf "<path d='%s' fill='none' stroke='%s' stroke-width='1.6'/>\n", path, colour[methods[i]] > file
    step = top + 14 + 18 * used++
    printf "<circle cx='%d' cy='%d' r='3.2' fill='%s'/>\n", width - right + 14, step - 4, colour[methods[i]] > file
    text(width - right + 22, step, "start", colour[methods[i]], title[methods[i]])
  }
  printf "</svg>\n" > file
  close(file)
}
function mark(x, label) {
  printf "<path d='M%.1f %dV%d' stroke='#e4e4e4'/>\n", place_x(x), top, height - bottom > file
  text(place_x(x), height - bottom + 17, "middle", "#444", label)
}
END {
  draw("error", "Error against cost, 512×512, σ log-uniform to 1e-3, p = 1/8",
       "time / limit of 3n³ flops", "error of the worst direction", 1)
  draw("size", "Time against n, square matrices, p = 1/8, tolerance 3e-2", "n", "time / limit of 3n³ flops", 1)
  draw("power", "Time against p, 512×512, tolerance 3e-2", "p", "time / limit of 3n³ flops", 0)
}
