# The tables of docs/evidence.md, in Markdown, from trainings.csv: scripts/evidence --tables.

NR == 1 {
  for (k = 1; k <= NF; k++) {
    column[$k] = k
    if (sub(/^alpha_after\./, "", $k)) matrix[++matrices] = $k
  }
  next
}

!($1 in rates) { variant[++variants] = $1 }

$column["seed"] == search_seed {
  rates[$1] = rates[$1] sprintf("%s%s: %.4f", rates[$1] == "" ? "" : ", ", $column["hidden_lr"], $column["validation_loss"])
  next
}

{
  n = ++seeds[$1]
  loss[$1, n] = $column["validation_loss"]
  seed_loss[$1, $column["seed"]] = loss[$1, n]
  seed_of[$1, n] = $column["seed"]
  lr[$1] = $column["hidden_lr"]
  total_loss[$1] += loss[$1, n]
  milliseconds[$1] += $column["optimizer_processor_ms"]
  if (n == 1 || loss[$1, n] < least[$1]) least[$1] = loss[$1, n]
  if (n == 1 || loss[$1, n] > most[$1]) most[$1] = loss[$1, n]
  for (m = 1; m <= matrices; m++) {
    before[$1, m] += $column["alpha_before." matrix[m]]
    after[$1, m] += $column["alpha_after." matrix[m]]
  }
}

function mean_alpha(alpha, name, m, sum) {
  for (m = 1; m <= matrices; m++) sum += alpha[name, m]
  return sum / matrices / seeds[name]
}

# Loss over another variant's with the same seeds: mean, and each seed's.
function over(name, other, n, sum, each, difference, count) {
  for (n = 1; n <= seeds[name]; n++) {
    if (!((other, seed_of[name, n]) in seed_loss)) continue
    difference = loss[name, n] - seed_loss[other, seed_of[name, n]]
    sum += difference
    count++
    each = each (each == "" ? "" : ", ") sprintf("%+.3f", difference)
  }
  return count == 0 ? " – |" : sprintf(" %+.3f (%s) |", sum / count, each)
}

function table(pattern, other, v, name) {
  print "| | lr | validation loss | largest − smallest | over `" other "`'s, seed by seed | α before | α after | optimizer's time over Muon's |"
  print "|---|---|---|---|---|---|---|---|"
  for (v = 1; v <= variants; v++) {
    name = variant[v]
    if (seeds[name] == 0 || (name ~ /^power_/) != pattern) continue
    printf "| `%s` | %s | %.4f | %.4f |%s %.2f | %.2f | %.2f |\n", name, lr[name], total_loss[name] / seeds[name],
      most[name] - least[name], name == other ? " |" : over(name, other), mean_alpha(before, name), mean_alpha(after, name),
      seeds["muon"] == 0 ? 0 : milliseconds[name] / seeds[name] / (milliseconds["muon"] / seeds["muon"])
  }
  print ""
}

END {
  table(0, "muon")
  table(1, "power_0")

  printf "| Hill α |"
  for (m = 1; m <= matrices; m++) printf " %s |", matrix[m]
  printf "\n|---|"
  for (m = 1; m <= matrices; m++) printf "---|"
  printf "\n"
  for (v = 1; v <= variants; v++) {
    name = variant[v]
    if (seeds[name] == 0) continue
    if (!shown++) {
      printf "| before |"
      for (m = 1; m <= matrices; m++) printf " %.2f |", before[name, m] / seeds[name]
      printf "\n"
    }
    printf "| `%s` |", name
    for (m = 1; m <= matrices; m++) printf " %.2f |", after[name, m] / seeds[name]
    printf "\n"
  }

  print "\n| | validation loss by lr, on the seed of the search |\n|---|---|"
  for (v = 1; v <= variants; v++) printf "| `%s` | %s |\n", variant[v], rates[variant[v]]
}
