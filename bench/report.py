# SPDX-License-Identifier: MIT
"""report.py - one page that shows all results: an overview, and bars for every question.

The page is one file without scripts or outside resources; bars are SVG in percent of the width
there is, so that it reads on a telephone as on a screen. What is compared was measured together: of
each question the page shows the latest table that has a peer in it, and never mixes two.
"""
import html
import json
import math

SECTIONS = [
    ("Tasks", "What it costs to make tasks, and to go from one to another.",
     ["switch", "yield", "spawn_join", "spawn_batch", "fib", "skynet"]),
    ("Between tasks", "What it costs to hand something over, and to wait for one another.",
     ["pingpong", "pingpong_cross", "chan_1p1c", "chan_4p4c", "mutex", "mutex_yield", "wake"]),
    ("Time", "Timeouts that nearly never come, and sleepers that all wake at once.",
     ["timer_churn", "timer_armed", "timer_call", "sleepers_cold", "sleepers"]),
    ("At rest", "What it costs to have tasks and connections that do nothing.",
     ["memory", "idle_connections", "idle"]),
    ("Servers", "CPU time of the server for a message, and how late answers are.",
     ["echo", "http", "http_least", "storm", "echo_rate", "hog"]),
]
NAMES = {"epoll": "bare epoll", "io_uring": "bare io_uring", "boost": "Boost.Fiber",
         "tbb": "oneTBB", "libuv": "libuv", "tokio": "Tokio", "go": "Go", "rayon": "Rayon",
         "libgomp": "OpenMP, gcc", "libomp": "OpenMP, LLVM", "hank-uring": "hank, io_uring",
         "futex": "bare futex", "bare": "no tasks",
         "eventfd": "bare eventfd", "pages": "bare pages"}
CUT = 6        # a bar longer than this many times hank's or the best peer's is cut
OCTAVES = 3    # the overview reaches from an eighth to eight times
DISTURBED, SPREAD = 0.15, 0.35  # as run.py has them

STYLE = """
:root { --ink: #1d2327; --soft: #5a666e; --line: #d7dde1; --page: #fbfcfc; --card: #fff;
  --hank: #1f7a55; --peer: #a9b7c1; --worse: #b9702a; --range: #1d2327; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ea; --soft: #9aa7af; --line: #333b41;
  --page: #14181b; --card: #1b2024; --hank: #4fb98a; --peer: #56646e; --worse: #d7924d;
  --range: #e4e8ea; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.9rem; margin: .5rem 0 .2rem; letter-spacing: -.02em; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 0; } h3 { font-size: 1rem; margin: 0; }
p { margin: .2rem 0 .8rem; max-width: 46rem; } .soft, h2 + p { color: var(--soft); }
dl { display: flex; flex-wrap: wrap; gap: .2rem 2rem; margin: 1rem 0 1.5rem; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; } dl div { min-width: 6rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr));
  gap: 1rem; align-items: start; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .9rem 1rem .8rem; min-width: 0; }
.card p { font-size: .85rem; margin: 0 0 .6rem; color: var(--soft); }
.card .verdict { color: var(--ink); margin: .55rem 0 0; } .card .doubt { color: var(--worse); }
.row { display: grid; grid-template-columns: 7rem minmax(0, 1fr) 5.6rem; gap: .5rem;
  align-items: center; font-size: .85rem; line-height: 1.55rem; }
.overview .row { grid-template-columns: 13rem minmax(0, 1fr) 10rem; }
.name { text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.value { white-space: nowrap; font-variant-numeric: tabular-nums; }
.ours .name, .ours .value { font-weight: 600; }
svg { display: block; width: 100%; height: 18px; overflow: visible; }
.peer { fill: var(--peer); } .hank { fill: var(--hank); } .worse { fill: var(--worse); }
.range { stroke: var(--range); stroke-width: 1; } .grid { stroke: var(--line); }
.cut { stroke: var(--card); stroke-width: 3; } .one { stroke: var(--soft); stroke-width: 1.5; }
text { font: 11px system-ui, sans-serif; fill: var(--soft); }
a { color: inherit; }
@media (max-width: 34rem) {
  .row { grid-template-columns: 5.6rem minmax(0, 1fr) 4.9rem; gap: .35rem; font-size: .8rem; }
  .overview .row { grid-template-columns: 1fr auto; margin-bottom: .35rem; }
  .overview .name { text-align: left; } .overview svg { grid-row: 2; grid-column: 1 / 3; }
  .overview .axis { margin: 0; } .overview .axis span { display: none; } }
"""

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hank: benchmarks</title><style>{style}</style></head><body>
<h1>hank, beside the systems you would pick instead</h1>
<p>Each bar is the median of a few turns that the systems took one after the other, on one machine;
the thin line goes from the least to the greatest. <strong>Shorter is better
everywhere.</strong></p>
<dl>{facts}</dl>
{overview}
{sections}
<h2>Reading it</h2>
<p class="soft">Ratios within a chart say more than its figures, and figures of two machines, or of
two days, do not compare. A bar with a gap at its end is longer than the page is wide. What is
measured, how, and what not to conclude from it: <code>bench/README.md</code>.
Reproduce it with <code>./dev setup --peers</code> and <code>./dev bench --report</code>.</p>
</body></html>
"""


# --- what is shown -------------------------------------------------------------------------------

def is_ours(record):
    return record["system"].startswith("hank")


def latest_tables(path):
    """{(bench, workers, connections): [record, ...]}: of each, the latest that was measured
    together with a peer."""
    tables = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        key = record["bench"], record["workers"], record.get("connections")
        tables.setdefault(key, {}).setdefault(record["when"], {})[record["system"]] = record
    chosen = {}
    for key, by_time in tables.items():
        with_peers = [when for when, records in by_time.items()
                      if any(not is_ours(r) for r in records.values())]
        records = by_time[max(with_peers or by_time)].values()
        chosen[key] = sorted(records, key=lambda r: r["median"])
    return chosen


def figure(value):
    """Three digits, for people."""
    if value >= 9999.5:
        return f"{value / 1000:,.0f}k" if value < 999500 else f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.3g}"


def quantity(value, unit):
    """In the unit that makes it short."""
    steps = {"ns": ("us", "ms", "s"), "us": ("ms", "s"), "ms": ("s",), "B": ("kB", "MB")}
    for larger in steps.get(unit, ()):
        if abs(value) < 9999.5:
            break
        value, unit = value / 1000, larger
    return f"{figure(value)} {'µs' if unit == 'us' else unit}"


def name_of(system):
    return NAMES.get(system, system)


def title(key):
    bench, workers, connections = key
    parts = [f"{workers} worker{'s' if workers > 1 else ''}"]
    if connections:
        parts.append(f"{connections:,} connections")
    return bench, ", ".join(parts)


# --- drawing -------------------------------------------------------------------------------------

def percent(value):
    return f"{max(0.0, min(100.0, value)):.2f}%"


def limit(records):
    """The longest bar that is drawn whole."""
    medians = [r["median"] for r in records]
    peers = [r["median"] for r in records if not is_ours(r)]
    ours = [r["median"] for r in records if is_ours(r)]
    reach = CUT * max([min(ours or medians), min(peers or medians)])
    whole = [r["max"] for r in records if r["median"] <= reach]
    return max(whole + [1e-9])


def bar(record, scale):
    is_cut = record["median"] > scale * 1.001
    ours = is_ours(record)
    width = percent(100 * record["median"] / scale)
    shape = f'<rect class="{"hank" if ours else "peer"}" y="2" height="14" rx="2" width="{width}"/>'
    if is_cut:
        shape += '<line class="cut" x1="94%" x2="92%" y1="0" y2="18"/>'
    elif len(record["rounds"]) > 1:
        low, high = (percent(100 * record[k] / scale) for k in ("min", "max"))
        shape += f'<line class="range" x1="{low}" x2="{high}" y1="9" y2="9"/>'
    value = quantity(record["median"], record["unit"])
    name = html.escape(name_of(record["system"]))
    return (f'<div class="row{" ours" if ours else ""}"><span class="name">{name}</span>'
            f'<svg role="img" aria-label="{name}: {value}">{shape}</svg>'
            f'<span class="value">{value}</span></div>')


def times(ratio, unit):
    """What a ratio means, in words: less is better."""
    less, more = ("less memory", "more memory") if unit == "B" else ("faster", "slower")
    if 0.97 <= ratio <= 1.03:
        return "the same as"
    if unit == "B":
        return f"{figure(1 / ratio)} times {less} than" if ratio < 1 else \
            f"{figure(ratio)} times {more} than".replace("times more memory than",
                                                         "times the memory of")
    return f"{figure(1 / ratio)} times {less} than" if ratio < 1 else \
        f"{figure(ratio)} times {more} than"


def verdict(records):
    """A sentence about hank's own row."""
    mine = next((r for r in records if r["system"] == "hank" and "ratio" in r), None)
    if not mine:
        return ""
    peer = html.escape(name_of(mine["ratio_to"]))
    if "rate" in mine and mine["bench"] in ("echo", "http", "http_least", "storm"):
        return (f'<p class="verdict">hank uses <strong>{mine["ratio"]:.2f}</strong> of the CPU '
                f'time of {peer}, turn by turn.</p>')
    if "rate" in mine:
        return (f'<p class="verdict">99 of 100 answers of hank come within '
                f'<strong>{mine["ratio"]:.2f}</strong> of the time of {peer}.</p>')
    return (f'<p class="verdict">hank: <strong>{times(mine["ratio"], mine["unit"])}</strong> '
            f'{peer}, the best of the others.</p>')


def doubts(records):
    """Which rows do not deserve to be quoted, and why."""
    found = {
        "measured once": [r for r in records if len(r["rounds"]) == 1],
        "disturbed by other processes": [r for r in records if r["foreign"] > DISTURBED],
        "widely spread": [r for r in records if r["median"] > 0 and
                          (r["max"] - r["min"]) / r["median"] > SPREAD],
        "no tasks, and so not compared": [r for r in records if r.get("aside")],
    }
    said = []
    for what, rows in found.items():
        names = "all" if rows and len(rows) == len(records) else \
            ", ".join(html.escape(name_of(r["system"])) for r in rows)
        if rows:
            said.append(f"{what}: {names}")
    return f'<p class="doubt">{"; ".join(said)}</p>' if said else ""


def card(key, records):
    bench, where = title(key)
    text = records[0].get("text", "")
    unit = "µs" if records[0]["unit"] == "us" else records[0]["unit"]
    scale = limit(records)
    return (f'<section class="card" id="{html.escape("-".join(map(str, key)))}">'
            f'<h3>{html.escape(bench)}</h3><p>{html.escape(text)}; {where}; {unit}</p>'
            f'{"".join(bar(r, scale) for r in records)}{verdict(records)}{doubts(records)}'
            f'</section>')


def overview_row(key, record):
    bench, where = title(key)
    ratio = record["ratio"]
    at = 50 + 50 * math.log2(max(ratio, 1e-6)) / OCTAVES
    at = max(0.0, min(100.0, at))
    low, high = min(at, 50.0), max(at, 50.0)
    grid = "".join(f'<line class="{"grid" if i else "one"}" x1="{x}" x2="{x}" y1="-3" y2="21"/>'
                   for i in range(-OCTAVES, OCTAVES + 1)
                   for x in [percent(50 + 50 * i / OCTAVES)])
    css = "hank" if ratio <= 1.03 else "worse"
    workers = f"{record['workers']}w"
    connections = f", {record['connections']:,}" if record.get("connections") else ""
    anchor = html.escape("-".join(map(str, key)))
    peer = html.escape(name_of(record["ratio_to"]))
    return (f'<div class="row"><span class="name"><a href="#{anchor}">{html.escape(bench)}</a> '
            f'<span class="soft">{workers}{connections}</span></span>'
            f'<svg role="img" aria-label="{html.escape(bench)}, {where}: {ratio:.2f} of {peer}">'
            f'{grid}'
            f'<rect class="{css}" x="{percent(low)}" width="{percent(max(high - low, 0.5))}" '
            f'y="3" height="12" rx="2"/></svg>'
            f'<span class="value">{figure(ratio)} <span class="soft">× {peer}</span></span></div>')


def overview(ordered):
    """hank's ratio everywhere, on one scale."""
    rows = [overview_row(key, r) for key, records in ordered for r in records
            if r["system"] == "hank" and "ratio" in r]
    if not rows:
        return ""
    labels = "".join(
        f'<text x="{percent(50 + 50 * i / OCTAVES)}" y="13" text-anchor="middle">'
        f'{"1" if i == 0 else f"1/{2 ** -i}" if i < 0 else 2 ** i}</text>'
        for i in range(-OCTAVES, OCTAVES + 1))
    axis = f'<div class="row axis"><span></span><svg>{labels}</svg><span></span></div>'
    return ('<h2>All of it at once</h2><p>What hank takes, in multiples of what the best of the '
            'others takes, or of what a bare epoll loop takes where that is the floor. Left of 1, '
            'in green, hank takes less.</p>'
            f'<div class="card overview">{axis}{"".join(rows)}{axis}</div>')


def facts(tables):
    records = [r for records in tables.values() for r in records]
    here = max(records, key=lambda r: r["when"]).get("machine", {}) if records else {}
    days = sorted({r["when"][:10] for r in records})
    rows = [("CPU", f"{here['cpus']} × {here['cpu']}" if here else "unknown"),
            ("Memory", f"{here['memory_gib']:.0f} GiB" if here else "unknown"),
            ("Kernel", here.get("kernel", "unknown")),
            ("Measured", " to ".join(dict.fromkeys([days[0], days[-1]])) if days else "never"),
            ("Rounds", f"{sum(len(r['rounds']) for r in records):,}")]
    return "".join(f"<div><dt>{k}</dt><dd>{html.escape(v)}</dd></div>" for k, v in rows)


def draw(results, page):
    """Write the page; returns its path."""
    tables = latest_tables(results) if results.exists() else {}
    sections, ordered = [], []
    for heading, text, names in SECTIONS:
        keys = sorted((k for k in tables if k[0] in names),
                      key=lambda k: (names.index(k[0]), k[1], k[2] or 0))
        if not keys:
            continue
        ordered += [(k, tables[k]) for k in keys]
        cards = "".join(card(k, tables[k]) for k in keys)
        sections.append(f'<h2>{heading}</h2><p>{text}</p><div class="cards">{cards}</div>')
    page.write_text(PAGE.format(style=STYLE, facts=facts(tables), overview=overview(ordered),
                                sections="\n".join(sections)))
    return page
