# A picture in SVG of what `ranks --model` (bench/distributed) prints: seconds of a step against ranks, a panel for each
# model.
BEGIN {
  FS = ","
  file = folder "/ranks.svg"
  panel = 270; height = 360; left = 56; top = 40; bottom = 50; gap = 12; legend = 190
  split("every rank everything;Optimizer (owners);AssembledOptimizer;" \
        "one sum;one sum, functions shared;quintics, five sums", title, ";")
  split("#555555 #0b6fb8 #2e8b57 #c77700 #d1495b #7a5195", colour, " ")
  y0 = 1e9; y1 = -1e9
}
$1 == "model" { next }
{
  if (!($1 in panels)) { panels[$1] = ++count; name[count] = $1 }
  p = panels[$1]; k = ++rows[p]; ranks[p, k] = $2
  for (i = 1; i <= 6; ++i) {
    value[p, k, i] = 1000 * $(2 + i); v = log10(value[p, k, i])
    if (v < y0) y0 = v
    if (v > y1) y1 = v
  }
}
function log10(x) { return log(x) / log(10) }
function place_x(p, n) { return left + (p - 1) * (panel + gap) + panel * (log(n / 8) / log(512) * 0.92 + 0.04) }
function place_y(v) { return height - bottom - (height - top - bottom) * (log10(v) - y0) / (y1 - y0) }
function text(x, y, anchor, fill, what) {
  printf "<text x='%.1f' y='%.1f' text-anchor='%s' fill='%s'>%s</text>\n", x, y, anchor, fill, what > file
}
END {
  y0 -= 0.05 * (y1 - y0); y1 += 0.05 * (y1 - y0)
  right = left + count * (panel + gap)
  printf "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' " \
         "font-family='sans-serif' font-size='12'>\n", right + legend, height > file
  printf "<rect width='100%%' height='100%%' fill='white'/>\n" > file
  for (p = 1; p <= count; ++p) {
    begin = left + (p - 1) * (panel + gap)
    text(begin + panel / 2, 24, "middle", "#222", "LLaMA-" name[p])
    for (d = int(y0); d <= y1; ++d) {
      if (d < y0) continue
      printf "<path d='M%d %.1fh%d' stroke='#ccc'/>\n", begin, place_y(10 ^ d), panel > file
      if (p == 1) text(left - 6, place_y(10 ^ d) + 4, "end", "#444", sprintf("%g", 10 ^ d))
    }
    for (n = 8; n <= 4096; n *= 4) {
      printf "<path d='M%.1f %dV%d' stroke='#e4e4e4'/>\n", place_x(p, n), top, height - bottom > file
      text(place_x(p, n), height - bottom + 17, "middle", "#444", n)
    }
    for (i = 1; i <= 6; ++i) {
      path = ""
      for (k = 1; k <= rows[p]; ++k) {
        x = place_x(p, ranks[p, k]); y = place_y(value[p, k, i])
        path = path sprintf("%s%.1f %.1f", k == 1 ? "M" : "L", x, y)
      }
      printf "<path d='%s' fill='none' stroke='%s' stroke-width='1.8'/>\n", path, colour[i] > file
    }
  }
  text((left + right) / 2, height - 14, "middle", "#222", "ranks")
  printf "<text transform='translate(16 %d) rotate(-90)' text-anchor='middle' fill='#222'>" \
         "milliseconds a step, model</text>\n", (top + height - bottom) / 2 > file
  for (i = 1; i <= 6; ++i) {
    printf "<path d='M%d %dh18' stroke='%s' stroke-width='2.4'/>\n", right + 4, top + 10 + 20 * i, colour[i] > file
    text(right + 28, top + 14 + 20 * i, "start", colour[i], title[i])
  }
  printf "</svg>\n" > file
}
