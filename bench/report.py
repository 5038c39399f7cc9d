# SPDX-License-Identifier: MIT
"""report.py - one page that shows all results: a group of bars a question, drawn as SVG.

The page is one file without scripts or outside resources. Of each system only the latest result
counts. A thin line over a bar goes from its least to its greatest round.
"""
import html
import json

LABEL, WIDTH, BAR, GAP = 110, 460, 16, 6

PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>hank: benchmarks</title>
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }}
h2 {{ font-size: 1rem; margin: 1.8rem 0 .3rem; }} p {{ color: #555; margin: .2rem 0; }}
text {{ font: 12px system-ui, sans-serif; fill: #222; }} .peer {{ fill: #b8c4ce; }}
.hank {{ fill: #2f7d5b; }} .range {{ stroke: #222; stroke-width: 1; }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #ddd; background: #16191c; }} p {{ color: #aaa; }} text {{ fill: #ddd; }}
  .peer {{ fill: #4d5963; }} .hank {{ fill: #4fb286; }} .range {{ stroke: #ddd; }} }}
</style>
<h1>hank: benchmarks</h1>
<p>Less is better everywhere. Figures of one machine; compare within a group, not between runs.</p>
{groups}
</html>
"""


def latest(path):
    """{(bench, workers, connections): {system: record}}, in the order first measured."""
    groups = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        key = record["bench"], record["workers"], record.get("connections")
        groups.setdefault(key, {})[record["system"]] = record
    return groups


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def bar(record, y, scale):
    middle, css = y + BAR / 2, "hank" if record["system"].startswith("hank") else "peer"
    width, low, high = (LABEL + record[k] * scale for k in ("median", "min", "max"))
    text = f"{figure(record['median'])} {record['unit']}"
    return (f'<text x="{LABEL - 8}" y="{middle + 4}" text-anchor="end">'
            f'{html.escape(record["system"])}</text>'
            f'<rect class="{css}" x="{LABEL}" y="{y}" width="{max(1, width - LABEL):.1f}" '
            f'height="{BAR}"/><line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" '
            f'y2="{middle}"/><text x="{max(width, high) + 6:.1f}" y="{middle + 4}">{text}</text>')


def group(key, records):
    bench, workers, connections = key
    rows = sorted(records.values(), key=lambda r: r["median"])
    scale = WIDTH / max(max(r["max"] for r in rows), 1e-9)
    bars = "".join(bar(r, i * (BAR + GAP), scale) for i, r in enumerate(rows))
    title = f"{bench}, {workers} worker{'s' if workers > 1 else ''}"
    title += f", {connections} connections" if connections else ""
    height = len(rows) * (BAR + GAP)
    return (f"<h2>{html.escape(title)}</h2>\n<svg viewBox='0 0 {LABEL + WIDTH + 110} {height}' "
            f"role='img' aria-label='{html.escape(title)}'>{bars}</svg>")


def draw(results, page):
    """Write the page; returns its path."""
    groups = "\n".join(group(k, r) for k, r in latest(results).items())
    page.write_text(PAGE.format(groups=groups))
    return page
