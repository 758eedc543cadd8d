"use strict";
const all = (selector, part = document) => [...part.querySelectorAll(selector)];
const number = (value, digits) => value.toLocaleString("en", {maximumSignificantDigits: digits});
const DASHES = [[6, 4], [2, 3], [10, 3, 2, 3]];

function css(colour) { // the value of a colour that charts.py names by a CSS variable
  const name = colour.match(/^var\((.*)\)$/);
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name[1]).trim() : colour;
}

function span(values, log, margin) { // the ends of an axis, with a margin
  const known = values.filter(value => value !== null && (!log || value > 0));
  if (!known.length) return log ? [1, 10] : [0, 1];
  const [low, high] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  if (log) {
    const factor = high > low ? (high / low) ** margin : 2;
    return [low / factor, high * factor];
  }
  const space = high > low ? margin * (high - low) : Math.abs(low) / 2 || 0.5;
  return [low - space, high + space];
}

function drawChart(chart) { // a chart as charts.py describes it
  const spec = JSON.parse(chart.querySelector("script").textContent), target = chart.querySelector(".plot");
  const lines = Object.values(spec.lines), marks = Object.values(spec.marks);
  const ends = span(spec.series.flatMap(one => one.x), spec.log_x, 0.02);
  const [low, high] = span(spec.series.flatMap(one => one.y).concat(lines), spec.log_y, 0.05);
  const bottom = spec.min ?? low, top = Math.max(Math.min(spec.max ?? high, spec.most ?? Infinity), bottom + 1e-9);
  const plot = Bokeh.Plotting.figure({
    height: spec.height, sizing_mode: "stretch_width", min_border: 4, toolbar_location: null, tools: [],
    x_axis_type: spec.log_x ? "log" : "linear", y_axis_type: spec.log_y ? "log" : "linear",
    x_range: new Bokeh.Range1d({start: ends[0], end: ends[1]}), y_range: new Bokeh.Range1d({start: bottom, end: top}),
    background_fill_color: null, border_fill_color: null, outline_line_color: null,
  });
  for (const axis of [...plot.below, ...plot.left]) Object.assign(axis, {
    axis_line_color: css("var(--line)"), major_tick_line_color: null, minor_tick_line_color: null,
    major_label_text_color: css("var(--soft)"), major_label_text_font_size: "12px",
    major_label_text_font: "system-ui, sans-serif",
    formatter: new Bokeh.CustomJSTickFormatter({code:
      "return new Intl.NumberFormat('en', {notation: 'compact', maximumSignificantDigits: 4}).format(tick)"}),
  });
  for (const grid of plot.center) Object.assign(grid, {grid_line_color: css("var(--line)")});
  lines.forEach((value, i) => plot.line(ends, [value, value],
    {line_color: css("var(--soft)"), line_width: 1.2, line_dash: DASHES[i % 3]}));
  for (const {x, y, colour, kind, width, faint} of spec.series) {
    const heights = y.map(value => value ?? (kind === "area" || spec.log_y ? bottom : NaN)), paint = css(colour);
    const alpha = faint ? 0.4 : 1, line = {line_color: paint, line_width: width, line_alpha: alpha};
    const dots = {fill_color: paint, line_color: null, fill_alpha: alpha};
    if (kind === "area") plot.varea_step(x, x.map(() => bottom), heights, "after", {fill_color: paint, fill_alpha: 0.35});
    else if (kind === "steps") plot.step(x, heights, "after", line);
    else if (kind === "line") plot.line(x, heights, line);
    if (kind === "dots") plot.scatter(x, heights, {...dots, size: width});
    else if (kind === "line" && x.length <= 30 && width > 1) plot.scatter(x, heights, {...dots, size: x.length > 1 ? width + 3 : 9});
  }
  for (const [location, colour] of marks) plot.add_layout(new Bokeh.Span(
    {location, dimension: "height", line_color: css(colour), line_dash: "dotted", line_width: 2}));
  plot.on_event("mousemove", ({x}) => readValues(chart, spec, x));
  plot.on_event("tap", ({x}) => readValues(chart, spec, x));
  plot.on_event("mouseleave", () => all("output", chart).forEach(one => { one.textContent = ""; }));
  target.replaceChildren();
  chart.drawn = true;
  Bokeh.Plotting.show(plot, target);
}

function readValues(chart, spec, at) { // the values nearest to a position, beside the names in the legend
  const far = value => Math.abs(spec.log_x ? Math.log(value / at) : value - at);
  let nearest = null;
  for (const {x} of spec.series) for (const value of x) if (nearest === null || far(value) < far(nearest)) nearest = value;
  for (const shown of all("[data-series]", chart)) {
    const {x, y, kind} = spec.series[shown.dataset.series];
    let best = -1;
    x.forEach((value, i) => {
      const allowed = ["steps", "area"].includes(kind) ? value <= at : y[i] !== null;
      if (allowed && (best < 0 || far(value) <= far(x[best]))) best = i;
    });
    shown.lastElementChild.textContent = best < 0 || y[best] === null ? "–" : number(y[best], 4);
  }
  chart.querySelector(".end output").textContent = nearest === null ? "" : number(nearest, 6);
}

const seen = new IntersectionObserver(entries => entries.forEach(({isIntersecting, target}) => {
  if (isIntersecting) {
    seen.unobserve(target);
    drawChart(target);
  }
}), {rootMargin: "600px"}); // hidden charts are drawn when they are shown
const charts = all(".chart").filter(chart => chart.querySelector(".plot"));
charts.forEach(chart => seen.observe(chart));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.filter(one => one.drawn).forEach(drawChart));

for (const group of all(".switch")) {
  const buttons = all("button", group), parts = all(":scope > div", group);
  buttons.forEach((button, i) => button.addEventListener("click", () => buttons.forEach((one, j) => {
    one.setAttribute("aria-pressed", i === j);
    parts[j].hidden = i !== j;
  })));
}

for (const clip of all(".clip")) { // a playhead on the spectrogram; a click moves it
  const audio = clip.querySelector("audio"), stage = clip.querySelector(".stage"), head = clip.querySelector(".head");
  const follow = () => {
    head.hidden = false;
    head.style.left = 100 * audio.currentTime / stage.dataset.seconds + "%";
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    all("audio").forEach(one => one === audio || one.pause());
    follow();
  });
  audio.addEventListener("seeked", follow);
  stage.addEventListener("click", event => {
    const box = stage.getBoundingClientRect();
    audio.currentTime = stage.dataset.seconds * (event.clientX - box.left) / box.width;
    audio.play();
  });
}

for (const button of all("[data-copy]")) button.addEventListener("click", () => {
  getSelection().selectAllChildren(button.parentElement.querySelector("code"));
  document.execCommand("copy"); // works for files, where navigator.clipboard may not
  button.textContent = "Copied";
});

for (const age of all("[data-written]")) { // the report of a run that is training
  const show = () => {
    const minutes = Math.floor(Date.now() / 60000 - age.dataset.written / 60);
    age.textContent = minutes < 1 ? "less than a minute ago" : minutes < 120 ? `${minutes} min ago`
      : `${Math.floor(minutes / 60)} h ago: has the run been stopped?`;
  };
  show();
  setInterval(show, 10000);
  setInterval(() => {
    if (!document.hidden && !all("details[open]").length && all("audio").every(one => one.paused)) location.reload();
  }, 60000);
}
