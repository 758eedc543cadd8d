"""Looks and behaviour of every page: plain CSS and a few lines of JavaScript, written into the page itself.

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
body {
  margin: 0; background: var(--page); color: var(--text); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2rem 0 .75rem; overflow-wrap: anywhere; }
a { color: var(--accent); overflow-wrap: anywhere; }
p { margin: .75rem 0; max-width: 44rem; }
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
.picture span, .border b {
  position: absolute; padding: .1rem .25rem; border-radius: .2rem; background: rgb(0 0 0 / .5); color: #fff;
  font-size: .7rem; font-weight: 400; font-style: normal; line-height: 1;
}
.picture span { right: .25rem; transform: translateY(50%); }
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
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
th, td { padding: .4rem .9rem .4rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
td:first-child { white-space: normal; min-width: 9rem; }
td small { color: var(--soft); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 1rem 1.5rem; }
.columns p { margin: 0 0 .4rem; }
th { font-size: .75rem; font-weight: 500; color: var(--soft); }
.number { text-align: right; }
figure { margin: 1rem 0; }
figure img, .chart svg { display: block; max-width: 100%; height: auto; }
.chart { overflow-x: auto; }
.chart svg { fill: currentColor; min-width: 34rem; }
figcaption { margin-top: .4rem; font-size: .85rem; color: var(--soft); }
@media (max-width: 30rem) {
  main { padding: 1.25rem .75rem 3rem; }
  h1 { font-size: 1.4rem; }
  .card { padding: .75rem .75rem 1rem; }
  .picture { height: 8rem; }
  .times span:nth-child(even) { display: none; }
  .facts { gap: .6rem 1.5rem; }
}
"""

SCRIPT = """
for (const player of document.querySelectorAll(".player")) {
  const [audio, stage, head] = ["audio", ".stage", ".head"].map(name => player.querySelector(name));
  const seconds = Number(stage.dataset.seconds);
  const follow = () => {
    head.style.visibility = "visible";
    head.style.left = 100 * audio.currentTime / seconds + "%";
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("seeked", follow);
  stage.addEventListener("click", event => {
    const box = stage.getBoundingClientRect();
    audio.currentTime = seconds * (event.clientX - box.left) / box.width;
    audio.play();
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    document.execCommand("copy"); // also where the clipboard interface is refused, as on a plain http address
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
"""
