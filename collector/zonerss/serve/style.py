"""How the page for people looks: its one stylesheet, and the policy that lets a browser apply nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

STYLE = """\
:root {
  color-scheme: light dark;
  --ground: #fff; --ink: #1b1f24; --faint: #57606a; --line: #d0d7de; --row: #f6f8fa; --link: #0550ae;
  --zones: #6639ba; --anon: #0969da; --file: #2da44e; --shmem: #bf3989; --other: #7f8894; --rest: #e4e8ec;
  --alarm: #b3141c; --warning: #855300;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c; --ink: #dfe4ea; --faint: #9aa4b0; --line: #343b45; --row: #1b2027; --link: #79b8ff;
    --zones: #a78bfa; --anon: #58a6ff; --file: #56d364; --shmem: #f778ba; --other: #7d8896; --rest: #2a3039;
    --alarm: #ff8078; --warning: #e3b341;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 110rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif;
}
a { color: var(--link); }
h1, h2 { font-size: 1rem; margin: 0; }
h1 bdi { font-size: 1.35rem; overflow-wrap: anywhere; }
h2 { margin: 1.5rem 0 .4rem; }
code, .n, .zone { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .9em; }
.zone, code, .marks span { white-space: pre-wrap; }
header { display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; align-items: baseline; margin-bottom: .8rem; }
header p, header nav { margin: 0; color: var(--faint); }
nav a + a { margin-left: 1rem; }
svg { display: block; width: 100%; }
.machine svg { height: 1.1rem; border-radius: 3px; background: var(--row); }
ul { list-style: none; margin: .4rem 0; padding: 0; }
.parts { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .4em; }
.parts .fact { color: var(--faint); }
.anon { fill: var(--anon); background: var(--anon); }
.file { fill: var(--file); background: var(--file); }
.shmem { fill: var(--shmem); background: var(--shmem); }
.zones { fill: var(--zones); background: var(--zones); }
.page-cache { fill: var(--file); background: var(--file); opacity: .6; }
.tmpfs { fill: var(--shmem); background: var(--shmem); opacity: .6; }
.kernel { fill: var(--other); background: var(--other); }
.hugetlb { fill: var(--ink); background: var(--ink); }
.free { fill: var(--rest); background: var(--rest); }
.dim { fill: var(--ground); fill-opacity: .55; }
.marks li { padding-left: 1.1em; text-indent: -1.1em; overflow-wrap: anywhere; }
.marks b { display: inline-block; width: 1.1em; text-indent: 0; }
.alarm { color: var(--alarm); font-weight: 600; }
.warning { color: var(--warning); }
.marks .alarm, .marks .warning { font-weight: normal; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
caption i { margin-left: .8em; }
th, td { padding: .22rem .5rem; text-align: left; vertical-align: middle; }
thead th {
  position: sticky; top: 0; background: var(--ground); color: var(--faint); font-size: .75rem; font-weight: 600;
  letter-spacing: .03em; box-shadow: inset 0 -1px var(--line); white-space: nowrap;
}
tbody tr:nth-child(even) { background: var(--row); }
tbody th { font-weight: 600; min-width: 15rem; max-width: 30rem; overflow-wrap: anywhere; }
th.n, td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th.n { font-family: inherit; font-size: .75rem; }
td.n b { font-weight: 600; }
.bar { width: 30%; min-width: 8rem; }
.bar svg { height: .7rem; }
details { margin-top: 1.5rem; }
summary { font-weight: 600; cursor: pointer; }
details table { width: auto; margin-top: .3rem; }
footer { color: var(--faint); margin-top: 1.2rem; overflow-wrap: anywhere; }
footer p { margin: .2rem 0; }
@media (max-width: 94rem) { .least { display: none; } }
@media (max-width: 74rem) { .less { display: none; } tbody th { min-width: 12rem; } }
@media (max-width: 48rem) {
  .some { display: none; }
  body { padding: .7rem; font-size: 14px; }
  th, td { padding: .22rem .3rem; }
  tbody th { min-width: 6.5rem; }
  .bar { min-width: 3.5rem; }
}
@media print { thead th { position: static; } a { color: inherit; } }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""Content-Security-Policy of the page, as its meta element has it; in a header frame-ancestors 'none' may be added.

No script, no request to any host, no style but :data:`STYLE`."""
