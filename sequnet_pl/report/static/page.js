"use strict";
const all = (selector, part = document) => [...part.querySelectorAll(selector)];
const number = (value, digits) => value.toLocaleString("en", {maximumSignificantDigits: digits});

function css(colour) { // the value of a colour that charts.py names by a CSS variable
  const name = colour.match(/^var\((.*)\)$/);
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name[1]).trim() : colour;
}

function span(values, log, margin) { // the ends of an axis, with a margin
  const scale = log ? Math.log : Number, back = log ? Math.exp : Number;
  const known = values.filter(value => value !== null && (!log || value > 0)).map(scale);
  if (!known.length) return log ? [1, 10] : [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b));
  const space = high > low ? margin * (high - low) : log ? 1 : Math.abs(low) / 2 || 0.5;
  return [back(low - space), back(high + space)];
}

function drawChart(chart) { // a chart as charts.py describes it
  const spec = JSON.parse(chart.querySelector("script").textContent), target = chart.querySelector(".plot");
  const ends = span(spec.series.flatMap(one => one.x), spec.log_x, 0.02);
  const [low, high] = span(spec.series.flatMap(one => one.y), spec.log_y, 0.05);
  const bottom = spec.min ?? low, top = Math.max(Math.min(high, spec.max ?? high), bottom + 1e-9);
  const plot = Bokeh.Plotting.figure({
    height: target.clientHeight, sizing_mode: "stretch_width", min_border: 4, toolbar_location: null, tools: [],
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
  for (const {x, y, colour, kind, faint} of spec.series) {
    const heights = y.map(value => value ?? (kind === "area" || spec.log_y ? bottom : NaN)), paint = css(colour);
    const alpha = faint ? 0.4 : 1, line = {line_color: paint, line_width: 2, line_alpha: alpha};
    const dots = {fill_color: paint, line_color: null, fill_alpha: alpha, size: x.length > 1 ? 5 : 9};
    if (kind === "area") plot.varea_step(x, x.map(() => bottom), heights, "after", {fill_color: paint, fill_alpha: 0.35});
    if (kind === "steps") plot.step(x, heights, "after", line);
    if (kind === "line") plot.line(x, heights, line);
    if (kind === "reference") plot.line(x, heights, {...line, line_width: 1.2, line_dash: [6, 4]});
    if (kind === "dots" || (kind === "line" && x.length <= 30)) plot.scatter(x, heights, dots);
  }
  plot.on_event("mousemove", ({x}) => readValues(chart, spec, x));
  plot.on_event("tap", ({x}) => readValues(chart, spec, x));
  plot.on_event("mouseleave", () => all("output", chart).forEach(one => { one.textContent = ""; }));
  target.replaceChildren();
  chart.drawn = true;
  Bokeh.Plotting.show(plot, target);
}

function readValues(chart, spec, at) { // the values nearest to a position, beside the names in the legend
  const distance = value => Math.abs(spec.log_x ? Math.log(value / at) : value - at);
  const nearest = (values, from) => from.reduce((a, b) => distance(values[b]) <= distance(values[a]) ? b : a, from[0]);
  for (const shown of all("[data-series]", chart)) {
    const {x, y, kind} = spec.series[shown.dataset.series];
    const stepped = ["steps", "area"].includes(kind);
    const value = y[nearest(x, [...x.keys()].filter(i => stepped ? x[i] <= at : y[i] !== null))];
    shown.lastElementChild.textContent = value === null || value === undefined ? "–" : number(value, 4);
  }
  const positions = spec.series.filter(one => one.kind !== "reference").flatMap(one => one.x);
  chart.querySelector(".x output").textContent = number(positions[nearest(positions, [...positions.keys()])], 6);
}

const seen = new IntersectionObserver(entries => entries.filter(entry => entry.isIntersecting).forEach(({target}) => {
  seen.unobserve(target);
  drawChart(target);
}), {rootMargin: "600px"}); // hidden charts are drawn when they are shown
const charts = all(".chart");
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

if (document.querySelector("[data-training]")) setInterval(() => {
  if (!document.hidden && !all("details[open]").length && all("audio").every(one => one.paused)) location.reload();
}, 60000);
