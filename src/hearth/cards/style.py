"""How a card looks, in light and in dark."""

STYLE = """
:root { color-scheme: light dark;
  --text: #1d1d1f; --faint: #5a5a60; --line: #d9d9de; --ground: #ffffff; --band: #f5f5f7; --accent: #b3400e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececef; --faint: #a9a9b2; --line: #3c3c43; --ground: #17171a; --band: #212126; --accent: #ff9a66; }
  img { background: #ffffff; }
}
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; border-bottom: 3px solid var(--accent); padding-bottom: .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; color: var(--accent); }
.table { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; min-width: 4rem; }
thead th { color: var(--faint); font-weight: 600; }
tbody th { font-weight: 600; min-width: 9rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tbody tr:hover { background: var(--band); }
figure { margin: 1.2rem 0; }
img { max-width: 100%; height: auto; border-radius: 6px; }
figcaption { color: var(--faint); font-size: .85rem; }
@media print { main { max-width: none; } section { break-inside: avoid-page; } }
"""
