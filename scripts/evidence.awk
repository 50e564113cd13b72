# The tables of docs/evidence.md, in Markdown, from the rows of one study's trainings: scripts/evidence --tables.

NR == 1 {
  for (k = 1; k <= NF; k++) {
    column[$k] = k
    if (sub(/^alpha_after\./, "", $k)) matrix[++matrices] = $k
  }
  next
}

!($1 in rates) { variant[++variants] = $1 }

$column["seed"] == search_seed {
  separator = rates[$1] == "" ? "" : ", "
  rates[$1] = rates[$1] sprintf("%s%s: %.4f", separator, $column["hidden_lr"], $column["validation_loss"])
  next
}

{
  n = ++seeds[$1]
  seed_of[$1, n] = $column["seed"]
  lr[$1] = $column["hidden_lr"]
  add("loss", $1, $column["validation_loss"])
  if ("accuracy" in column) add("accuracy", $1, 100 * $column["accuracy"])
  milliseconds[$1] += $column["optimizer_processor_ms"]
  for (m = 1; m <= matrices; m++) {
    before[$1, m] += $column["alpha_before." matrix[m]]
    after[$1, m] += $column["alpha_after." matrix[m]]
  }
}

# What a training of variant `name` came to, the n-th of its seeds.
function add(what, name, number) {
  result[what, name, n] = by_seed[what, name, seed_of[name, n]] = number
  total[what, name] += number
  if (n == 1 || number < least[what, name]) least[what, name] = number
  if (n == 1 || number > most[what, name]) most[what, name] = number
}

function mean(what, name) { return total[what, name] / seeds[name] }

function mean_alpha(alpha, name, m, sum) {
  for (m = 1; m <= matrices; m++) sum += alpha[name, m]
  return sum / matrices / seeds[name]
}

# A result over another variant's with the same seeds: mean, and each seed's.
function over(what, digits, name, other, n, sum, each, difference, count) {
  for (n = 1; n <= seeds[name]; n++) {
    if (!((what, other, seed_of[name, n]) in by_seed)) continue
    difference = result[what, name, n] - by_seed[what, other, seed_of[name, n]]
    sum += difference
    count++
    each = each (each == "" ? "" : ", ") sprintf("%+." digits "f", difference)
  }
  if (name == other) return " |"
  return count == 0 ? " – |" : sprintf(" %+." digits "f (%s) |", sum / count, each)
}

# Mean, spread, and differences from another variant.
function cells(what, mean_digits, digits, name, other) {
  return sprintf(" %." mean_digits "f | %." mean_digits "f |", mean(what, name), most[what, name] - least[what, name]) \
    over(what, digits, name, other)
}

# The variants whose names begin with `group`, an underscore after it; those of no group where it is empty.
function in_group(name, group) {
  return group == "" ? name !~ /^(power|resnet|vit)_/ : index(name, group "_") == 1
}

# `clock`: the variant whose time is 1.
function table(group, other, clock, v, name, head, line) {
  if (seeds[other] == 0 || seeds[clock] == 0) return
  head = "| | lr | loss | largest − smallest | over `" other "`'s, seed by seed |"
  if ("accuracy" in column) head = head " accuracy, % | largest − smallest | over `" other "`'s, seed by seed |"
  else head = head " perplexity |"
  if (matrices > 0) head = head " α before | α after |"
  head = head " optimizer's time over `" clock "`'s |"
  print head
  gsub(/[^|]+/, "---", head)
  print head
  for (v = 1; v <= variants; v++) {
    name = variant[v]
    if (seeds[name] == 0 || !in_group(name, group)) continue
    line = sprintf("| `%s` | %s |", name, lr[name]) cells("loss", 4, 3, name, other)
    if ("accuracy" in column) line = line cells("accuracy", 2, 2, name, other)
    else line = line sprintf(" %.3f |", exp(mean("loss", name)))
    if (matrices > 0) line = line sprintf(" %.2f | %.2f |", mean_alpha(before, name), mean_alpha(after, name))
    print line sprintf(" %.2f |", milliseconds[name] / seeds[name] / (milliseconds[clock] / seeds[clock]))
  }
  print ""
}

function layer_table(m, v, name, shown) {
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
  print ""
}

END {
  table("", "muon", "muon")
  table("power", "power_0", "muon")
  table("resnet", "resnet_muon", "resnet_muon")
  table("vit", "vit_muon", "vit_muon")
  if (matrices > 0) layer_table()
  print "| | loss by lr, on the seed of the search |\n|---|---|"
  for (v = 1; v <= variants; v++) printf "| `%s` | %s |\n", variant[v], rates[variant[v]]
  print ""
}
