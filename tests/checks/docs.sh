#!/usr/bin/env bash
# docs/jobs.md is what the command prints; every key and command that the README shows exists.
# Usage: docs.sh SHOAL
set -euo pipefail
cd "$(dirname "$0")/../.."
shoal=$1
if ! diff <("$shoal" options --markdown) docs/jobs.md >/dev/null; then
  echo "docs/jobs.md is not what the command prints: run $shoal options --markdown > docs/jobs.md"
  exit 1
fi
status=0
while read -r subcommand; do
  if ! "$shoal" --help | grep -q "^  $subcommand "; then
    echo "README.md shows 'shoal $subcommand', which the command does not have"
    status=1
  fi
done < <(grep -oE 'shoal (init|train|plan|evaluate|predict|run|checkpoint|doctor|options|completion|comm|serve|advise)\b' README.md docs/*.md |
  sed 's/.*shoal //' | sort -u)
exit $status
