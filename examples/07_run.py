"""Do from Python what the command line does: a folder into a folder, with a report, resumed where it was interrupted.

python examples/07_run.py photos enhanced
"""

import sys

import enhance_cli as enhance

source, target = sys.argv[1:]
summary = enhance.run("clode", [source, target], time="auto", recursive=True)
print(f"{summary.done} done, {summary.failed} failed, {summary.unchanged} done before; report: {summary.report}")
