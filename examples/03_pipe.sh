#!/usr/bin/env bash
# One photograph through a pipe: stdin to stdout, in the format it came in or in another.
#
#     examples/03_pipe.sh photo.jpg enhanced.png
set -euo pipefail

enhance clahe-adaptive --format png - - <"$1" >"$2"

# The report can go to a file while the picture goes to stdout; here it is read for one number.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
enhance clahe-adaptive --quiet --report "$report" - - <"$1" | wc -c
python -c 'import json, sys; print("global factor", json.load(open(sys.argv[1]))["plan"]["global_factor"])' "$report"
