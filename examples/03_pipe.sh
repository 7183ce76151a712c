#!/usr/bin/env bash
# One photo through a pipe, from stdin to stdout, in its own format or another one.
#
#     examples/03_pipe.sh photo.jpg enhanced.png
set -euo pipefail

enhance clahe-adaptive --format png - - <"$1" >"$2"

# The report can be written to a file while the photo goes to stdout; here one number is read from it.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
enhance clahe-adaptive --quiet --report "$report" - - <"$1" | wc -c
python -c 'import json, sys; print("global factor", json.load(open(sys.argv[1]))["plan"]["global_factor"])' "$report"
