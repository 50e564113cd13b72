# A picture in SVG of the losses.csv that the demo writes: loss against step, means over the seeds of each optimizer.
# awk -v file=demo.svg -f losses.awk losses.csv. A row: optimizer,step,train_loss,validation_loss,seconds,seed.
BEGIN {
  FS = ","
  width = 720; height = 400; left = 70; right = 150; top = 46; bottom = 64
  split("#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9 #444444", colours, " ")
}
FNR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
{
  name = $column["optimizer"]; step = $column["step"] + 0; seed = $column["seed"]
  if (!(name in number)) { number[name] = ++optimizers; names[optimizers] = name }
  if (!((name, seed) in seeds)) { seeds[name, seed] = 1; if (++seeds_of[name] > most) most = seeds_of[name] }
  k = number[name]
  train[k, step] += $column["train_loss"]; trained[k, step]++
  if ($column["validation_loss"] != "") { validation[k, step] += $column["validation_loss"]; validated[k, step]++ }
  if (step > steps) steps = step
}
function x_of(step) { return left + (width - left - right) * step / steps }
function y_of(loss) { return height - bottom - (height - top - bottom) * (loss - least) / (largest - least) }
# Of the steps up to 3 before and after; -1 for a step without a loss.
function mean_of_train(k, step,    s, sum, count) {
  if (!((k, step) in train)) return -1
  for (s = step - 3; s <= step + 3; ++s) if ((k, s) in train) { sum += train[k, s] / trained[k, s]; ++count }
  return count ? sum / count : -1
}
function text(x, y, more, what) { printf "<text x='%.1f' y='%.1f'%s>%s</text>\n", x, y, more, what > file }
function polyline(points, more) {
  if (points != "") printf "<polyline fill='none' %s points='%s'/>\n", more, points > file
}
END {
  if (!optimizers) { print "no losses" > "/dev/stderr"; exit 1 }
  least = 1e9; largest = -1e9
  for (k = 1; k <= optimizers; ++k) for (step = 0; step <= steps; ++step) {
    loss = mean_of_train(k, step)
    if (loss > 0) { if (loss < least) least = loss; if (loss > largest) largest = loss }
    if ((k, step) in validation) { loss = validation[k, step] / validated[k, step]; last[k] = loss
      if (loss < least) least = loss; if (loss > largest) largest = loss }
  }
  margin = 0.06 * (largest - least); least -= margin; largest += margin / 6
  printf "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d' " \
         "font-family='sans-serif' font-size='14' fill='#222'>\n", width, height, width, height > file
  printf "<rect width='%d' height='%d' fill='white'/>\n", width, height > file
  text(left, 26, " font-size='16' font-weight='bold'", "Character model" (most > 1 ? ", mean of " most " seeds" : ""))
  for (k = 0; k <= 5; ++k) {
    x = x_of(steps * k / 5)
    printf "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#e4e4e4'/>\n", x, top, x, height - bottom > file
    text(x, height - bottom + 20, " text-anchor='middle'", sprintf("%d", steps * k / 5))
  }
  for (loss = int(2 * least + 1) / 2; loss <= largest; loss += 0.5) {
    y = y_of(loss)
    printf "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#e4e4e4'/>\n", left, y, width - right, y > file
    text(left - 8, y_of(loss) + 5, " text-anchor='end'", sprintf("%g", loss))
  }
  printf "<rect x='%d' y='%d' width='%d' height='%d' fill='none' stroke='#444'/>\n",
         left, top, width - left - right, height - top - bottom > file
  text((left + width - right) / 2, height - bottom + 44, " text-anchor='middle'", "step")
  middle = (top + height - bottom) / 2
  printf "<text x='20' y='%.1f' text-anchor='middle' transform='rotate(-90 20 %.1f)'>" \
         "loss, nats per character</text>\n", middle, middle > file
  for (k = 1; k <= optimizers; ++k) {
    colour = "stroke='" colours[(k - 1) % 7 + 1] "'"; thin = thick = ""
    for (step = 0; step <= steps; ++step) {
      loss = mean_of_train(k, step)
      if (loss > 0) thin = thin sprintf("%.1f,%.1f ", x_of(step), y_of(loss))
      if (!((k, step) in validation)) continue
      thick = thick sprintf("%.1f,%.1f ", x_of(step), y_of(validation[k, step] / validated[k, step]))
    }
    polyline(thin, colour " stroke-width='1' opacity='0.55'")
    polyline(thick, colour " stroke-width='2.5'")
    count = split(thick, points, " ")
    for (i = 1; i <= count; ++i) {
      split(points[i], place, ",")
      printf "<circle cx='%s' cy='%s' r='3' fill='%s'/>\n", place[1], place[2], colours[(k - 1) % 7 + 1] > file
    }
  }
  # The names stand at the ends of the curves, at least 17 apart, the largest loss on top.
  below = -1e9
  for (i = 1; i <= optimizers; ++i) {
    best = 0
    for (k = 1; k <= optimizers; ++k) if (!(k in named) && (!best || last[k] > last[best])) best = k
    named[best] = 1; y = y_of(last[best]) + 5
    if (y < below + 17) y = below + 17
    below = y
    text(width - right + 8, y, " fill='" colours[(best - 1) % 7 + 1] "'", names[best] " " sprintf("%.3f", last[best]))
  }
  text(width - right - 10, top + 20, " text-anchor='end' font-size='12'",
       "thick: validation; thin: training, mean of 7 steps")
  print "</svg>" > file
}
