#!/bin/sh
# Checks the layers of docs/design.md, section 4, in include/xgrad and lib: check.sh [ROOT]
# Prints every offence as file:line: what is wrong, and exits with 1 when there is one.
set -eu
cd "${1:-$(dirname "$0")/../../..}"

# What each folder may include besides itself.
layers='
support     :
tensor      : support
tape        : support tensor
ops         : support tensor tape
nn          : support tensor tape ops
optim       : support tensor tape
io          : support tensor nn
data        : support tensor io
'

find include/xgrad lib -type f \( -name '*.hpp' -o -name '*.h' -o -name '*.cpp' -o -name '*.cc' \) | sort |
  LC_ALL=C awk -v layers="$layers" '
  BEGIN {
    count = split(layers, line, "\n")
    for (i = 1; i <= count; ++i) {
      words = split(line[i], word, /[ :]+/)
      if (words == 0 || word[1] == "") continue
      known[word[1]] = 1
      for (j = 1; j <= words; ++j) if (word[j] != "") may[word[1], word[j]] = 1
    }
    max_lines["hpp"] = 300
    max_lines["cpp"] = 500
  }
  function offence(where, what) { print where ": " what; ++offences }
  # The layer of a path from the root, "" when it lies in none.
  function layer_of(path,   part, n) {
    n = split(path, part, "/")
    if (part[1] == "lib" && n > 2) return part[2]
    if (part[1] == "include" && part[2] == "xgrad" && n > 3) return part[3]
    return ""
  }
  # a/b/../c -> a/c
  function normal(path) {
    while (sub(/[^\/]+\/\.\.\//, "", path)) {}
    gsub(/\/\.\//, "/", path)
    return path
  }
  function check_include(where, file, layer, name, quoted,   target, other) {
    if (name ~ /^(xtensor-blas|xflens)\//) {
      if (file != "lib/tensor/lapack.cpp")
        offence(where, "includes <" name ">; only lib/tensor/lapack.cpp includes xtensor-blas")
    } else if (name ~ /^(xtensor|xtensor-python)\// && file != "include/xgrad/tensor/xtensor.hpp")
      offence(where, "includes <" name ">; only include/xgrad/tensor/xtensor.hpp includes xtensor")
    if (name ~ /^xsimd\//) {
      if (file ~ /^include\//) offence(where, "includes <" name ">; xsimd stays out of the public headers")
      else if (layer != "tensor") offence(where, "includes <" name ">; only lib/tensor includes xsimd")
    }
    if (name ~ /^xgrad\//) target = "include/" name
    else if (name ~ /^(lib|include)\//) target = name
    else if (quoted) { target = file; sub(/[^\/]*$/, "", target); target = normal(target name) }
    else return
    if (target ~ /^lib\// && file ~ /^include\//)
      offence(where, "includes \"" name "\"; a public header cannot include a private one")
    other = layer_of(target)
    if (target == "include/xgrad/xgrad.hpp")
      offence(where, "includes the umbrella xgrad/xgrad.hpp, which is for users")
    else if (other == "")
      offence(where, "includes \"" name "\", which lies in no layer")
    else if (!(other in known))
      offence(where, "includes \"" name "\" of " other ", which is not a layer")
    else if (!((layer, other) in may))
      offence(where, "includes \"" name "\"; " layer " may not include " other)
  }
  {
    file = $0
    ++files
    if (file == "include/xgrad/xgrad.hpp") next
    layer = layer_of(file)
    if (!(layer in known)) {
      offence(file ":1", layer == "" ? "lies in no layer" : layer " is not a layer")
      next
    }
    kind = file ~ /\.(hpp|h)$/ ? "hpp" : "cpp"
    if (file ~ /^include\// && kind == "cpp") offence(file ":1", "a source among the public headers")
    if (file ~ /^lib\// && !(layer in public)) public[layer] = system("test -d include/xgrad/" layer) == 0
    if (file ~ /^lib\// && !public[layer]) offence(file ":1", "there is no folder include/xgrad/" layer)
    number = 0
    while ((getline text < file) > 0) {
      ++number
      if (text !~ /^[ \t]*#[ \t]*(include|import)[ \t]*[<"]/) continue
      quoted = text ~ /^[^<"]*"/
      name = text
      sub(/^[^<"]*[<"]/, "", name)
      sub(/[>"].*$/, "", name)
      check_include(file ":" number, file, layer, name, quoted)
    }
    close(file)
    if (number > max_lines[kind])
      offence(file ":" number, "has " number " lines; at most " max_lines[kind])
  }
  END {
    if (files == 0) offence("include/xgrad:1", "holds no files")
    if (offences) { print offences " offences against the layers"; exit 1 }
    print "layering: " files " files keep to the layers"
  }'
