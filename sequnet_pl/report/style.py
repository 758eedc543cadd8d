"""Looks of every page: plain CSS, written into the page itself.

Light and dark follow the reader's system; the fonts are the system's own.
"""

STYLE = """
:root {
  --page: #f6f6f4; --card: #ffffff; --text: #1d1d22; --soft: #65656f; --line: #e0e0dc;
  --accent: #7b2d8b; --pale: #b9b3c2; --warn: #9a3412; --warn-page: #fff1e6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131316; --card: #1c1c21; --text: #e9e9ee; --soft: #9b9ba7; --line: #31313a;
    --accent: #d58be0; --pale: #6b6577; --warn: #fdba74; --warn-page: #38230f;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--page); color: var(--text); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 74rem; margin: 0 auto; padding: 2rem 1rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2rem 0 .75rem; overflow-wrap: anywhere; }
a { color: var(--accent); overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: -.5rem 0 1rem; }
p { margin: .75rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: .925rem; }
.warning {
  max-width: none; margin: .75rem 0; padding: .4rem .75rem; border-radius: .4rem; font-size: .925rem;
  border-left: 3px solid var(--warn); background: var(--warn-page); color: var(--warn);
}
.badge {
  display: inline-block; padding: 0 .5em; border: 1px solid var(--line); border-radius: 1em;
  font-size: .8rem; line-height: 1.5; color: var(--soft); white-space: nowrap;
}
.badge.warns { border-color: var(--warn); color: var(--warn); background: var(--warn-page); }
.card {
  margin: 1.25rem 0; padding: 1rem 1.25rem 1.25rem; border: 1px solid var(--line); border-radius: .75rem;
  background: var(--card); scroll-margin-top: 1rem;
}
.title { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .6rem; margin-bottom: .75rem; }
.title h2 { margin: 0; }

.stage { position: relative; cursor: pointer; }
.waveform, .picture { position: relative; }
.waveform { height: 4.5rem; margin-bottom: .4rem; }
.waveform svg { display: block; width: 100%; height: 100%; fill: var(--accent); }
.waveform .prompt { fill: var(--pale); }
.picture { height: 10rem; border-radius: .4rem; overflow: hidden; background: #000; }
.picture img { display: block; width: 100%; height: 100%; }
.picture > span, .border b {
  position: absolute; padding: .1rem .25rem; border-radius: .2rem; background: rgb(0 0 0 / .5); color: #fff;
  font-size: .7rem; font-weight: 400; font-style: normal; line-height: 1;
}
.picture > span { right: .25rem; transform: translateY(50%); }
.border, .head { position: absolute; top: 0; bottom: 0; width: 0; pointer-events: none; }
.border { border-left: 2px dashed var(--soft); margin-left: -1px; }
.picture .border { border-color: #fff; }
.border b { top: .3rem; left: .4rem; }
.border .before { left: auto; right: .5rem; }
.head { left: 0; margin-left: -1px; border-left: 2px solid #22d3ee; visibility: hidden; }
.times { position: relative; height: 1.3rem; margin-top: .15rem; font-size: .75rem; color: var(--soft); }
.times span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.times span:first-child { transform: none; }
audio { display: block; width: 100%; height: 2.75rem; margin: .4rem 0 0; }
.bar { display: flex; align-items: center; gap: .6rem; margin-top: .3rem; font-variant-numeric: tabular-nums; }
.bar button { width: 2.4rem; padding: 0; line-height: 1.5; }
.bar output { font-size: .8rem; color: var(--soft); }

.facts { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0; }
.facts dt { font-size: .75rem; color: var(--soft); }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.command { display: flex; gap: .5rem; align-items: start; }
.command span { display: inline-block; overflow-wrap: anywhere; }
.command pre {
  flex: 1; min-width: 0; margin: 0; padding: .5rem .75rem; border-radius: .4rem; background: var(--page);
  white-space: pre-wrap; font: .8rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
button {
  padding: .35rem .8rem; border: 1px solid var(--line); border-radius: .4rem; background: var(--card); color: inherit;
  font: inherit; font-size: .85rem; cursor: pointer;
}
button:hover { border-color: var(--accent); color: var(--accent); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; min-width: min(30rem, 100%); font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td:first-child { white-space: normal; min-width: 9rem; }
td small { color: var(--soft); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 1rem 1.5rem; }
.columns p { margin: 0 0 .4rem; }
th { font-size: .75rem; font-weight: 500; color: var(--soft); white-space: normal; vertical-align: bottom; }
.number { text-align: right; }

.chart { --gutter: 2.75rem; margin: 1rem 0 .5rem; min-width: 0; }
.chart.rows { --gutter: min(9rem, 35%); }
.chart p { max-width: none; margin: 0; }
.chart .name { font-weight: 600; font-size: .925rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1.25rem; font-size: .8rem; }
.legend svg { width: 1.5rem; height: .625rem; margin-right: .4rem; }
.legend output { display: inline-block; min-width: 2.5rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.unit { min-height: 1.2rem; padding-bottom: .2rem; font-size: .75rem; line-height: 1.2rem; color: var(--soft); }
.unit.end { text-align: right; }
.unit output { color: var(--text); font-variant-numeric: tabular-nums; }
.plot {
  position: relative; height: var(--height); margin: 0 .75rem 0 var(--gutter); cursor: crosshair; touch-action: pan-y;
  border: solid var(--line); border-width: 0 0 1px 1px;
}
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: hidden; }
.chart path { vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.chart .grid { fill: none; stroke: var(--line); stroke-width: 1; }
.up span {
  position: absolute; right: 100%; width: max-content; max-width: var(--gutter); padding-right: .4rem;
  text-align: right; transform: translateY(50%); font-size: .75rem; line-height: 1.1; color: var(--soft);
}
.across { position: relative; height: 1.2rem; margin: .15rem .75rem 0 var(--gutter); }
.across span { position: absolute; transform: translateX(-50%); font-size: .75rem; color: var(--soft); }
.at { position: absolute; top: 0; bottom: 0; border-left: 1px solid var(--soft); pointer-events: none; }
.at:not([style]) { display: none; }
figcaption { margin-top: .4rem; font-size: .85rem; color: var(--soft); }
.switch > input { position: absolute; opacity: 0; }
.switch > label, .filters button, .filters output {
  display: inline-block; margin: 0 .4rem .4rem 0; padding: .1rem .8rem; border: 1px solid var(--line);
  border-radius: 1em; font-size: .85rem; cursor: pointer;
}
.switch > :checked + label, .filters [aria-pressed=true] { border-color: var(--accent); color: var(--accent); }
.switch > :focus-visible + label { outline: 2px solid var(--accent); }
.switch > .chart { display: none; margin-top: .25rem; }
.switch > input:nth-of-type(1):checked ~ .chart:nth-of-type(1),
.switch > input:nth-of-type(2):checked ~ .chart:nth-of-type(2),
.switch > input:nth-of-type(3):checked ~ .chart:nth-of-type(3) { display: block; }
@media (prefers-color-scheme: dark) { .chart svg, .dot { filter: brightness(1.4); } .chart .grid { opacity: .6; } }

.filters { display: flex; flex-wrap: wrap; align-items: baseline; font-size: .85rem; color: var(--soft); }
.filters span { margin: 0 .5rem 0 .6rem; }
.filters output { border-color: transparent; cursor: auto; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(16.5rem, 100%), 1fr)); gap: .6rem .75rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(33rem, 100%), 1fr)); gap: .75rem; }
.pairs .columns { grid-template-columns: repeat(auto-fit, minmax(min(14rem, 100%), 1fr)); }
.clips .card, .pairs .card { margin: 0; padding: .6rem .75rem .5rem; }
.clip { min-width: 0; font-size: .8rem; }
.clip .title { align-items: center; min-height: 1.35rem; gap: 0 .4rem; margin-bottom: .2rem; line-height: 1.3; }
.clip .badge { font-size: .7rem; }
.clip h3 { margin: 0; font-size: .8rem; font-weight: 600; overflow-wrap: anywhere; }
.clip .waveform { height: 1.75rem; margin-bottom: .2rem; }
.clip .picture { height: 3rem; }
.clip .picture > span, .clip .times { display: none; }
.clip details { margin: 0; }
.clip .facts { gap: .4rem 1.25rem; margin: .5rem 0; }
@media (max-width: 30rem) {
  main { padding: 1.25rem .75rem 3rem; }
  h1 { font-size: 1.4rem; }
  .card { padding: .75rem .75rem 1rem; }
  .picture { height: 8rem; }
  .times span:nth-child(even), .across span:nth-child(even) { display: none; }
  .facts { gap: .6rem 1.5rem; }
  table { font-size: .8rem; }
  th, td { padding-right: .5rem; }
  td:first-child { min-width: 7rem; }
}
"""
