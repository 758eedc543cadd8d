"""Behaviour of every page: plain JavaScript, written into the page itself. Without it everything is there too."""

SCRIPT = """
const all = (names, part = document) => [...part.querySelectorAll(names)];
const numbers = text => text.split(" ").map(Number);
for (const player of all(".player")) {
  const [audio, stage, head, bar, button, time] =
    ["audio", ".stage", ".head", ".bar", ".bar button", ".bar output"].map(name => player.querySelector(name));
  const seconds = Number(stage.dataset.seconds);
  const digits = at => seconds < 60
    ? at.toFixed(1) : Math.floor(at / 60) + ":" + String(Math.floor(at % 60)).padStart(2, "0");
  const show = () => {
    time.textContent = digits(audio.currentTime) + " / " + digits(seconds) + (seconds < 60 ? " s" : "");
    button.textContent = audio.paused ? "\\u25b6\\ufe0e" : "\\u275a\\u275a\\ufe0e";
  };
  const follow = () => {
    show();
    head.style.visibility = "visible";
    head.style.left = 100 * audio.currentTime / seconds + "%";
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.controls = false; // which show no tenths of a second
  bar.hidden = false;
  show();
  button.addEventListener("click", () => audio.paused ? audio.play() : audio.pause());
  button.addEventListener("keydown", event => {
    const step = {ArrowLeft: -0.1, ArrowRight: 0.1}[event.key];
    if (step) audio.currentTime = Math.min(seconds, Math.max(0, audio.currentTime + step * seconds));
  });
  audio.addEventListener("play", () => {
    for (const other of all("audio")) if (other !== audio) other.pause();
    follow();
  });
  for (const name of ["seeked", "pause", "ended"]) audio.addEventListener(name, follow);
  stage.addEventListener("click", event => {
    const box = stage.getBoundingClientRect();
    audio.currentTime = seconds * (event.clientX - box.left) / box.width;
    audio.play();
  });
}
for (const button of all("[data-copy]")) {
  button.addEventListener("click", () => {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    document.execCommand("copy"); // also where the clipboard interface is refused, as on a plain http address
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
for (const chart of all(".chart")) { // the legend shows the values of the points that are nearest to the pointer
  const plot = chart.querySelector(".plot"), line = chart.querySelector(".at");
  const where = chart.querySelector(".unit output");
  const [low, high] = numbers(plot.dataset.x);
  const share = "log" in plot.dataset ? x => Math.log(x / low) / Math.log(high / low) : x => (x - low) / (high - low);
  const curves = all("[data-points]", chart).map(entry => {
    const [xs, ys] = JSON.parse(entry.dataset.points);
    return {xs, ys, shares: xs.map(share), steps: "steps" in entry.dataset, value: entry.querySelector("output")};
  }).filter(curve => curve.xs.length);
  const index = (curve, at) => curve.steps
    ? curve.shares.findLastIndex(place => place <= at)
    : curve.shares.reduce((best, place, i) => Math.abs(place - at) < Math.abs(curve.shares[best] - at) ? i : best, 0);
  const show = value => value == null ? "\\u2013" : value.toLocaleString("en", {maximumSignificantDigits: 4});
  const move = event => {
    const box = plot.getBoundingClientRect();
    let at = (event.clientX - box.left) / box.width, nearest;
    for (const curve of curves.filter(curve => !curve.steps)) {
      const i = index(curve, at);
      if (!nearest || Math.abs(curve.shares[i] - at) < Math.abs(nearest.share - at))
        nearest = {share: curve.shares[i], x: curve.xs[i]};
    }
    if (nearest) at = nearest.share;
    for (const curve of curves) curve.value.textContent = show(curve.ys[index(curve, at)]);
    if (!curves.length) return;
    const x = nearest ? nearest.x : curves[0].xs[Math.max(0, index(curves[0], at))];
    where.textContent = x.toLocaleString("en", {maximumSignificantDigits: 6});
    line.style.left = 100 * at + "%";
  };
  plot.addEventListener("pointermove", move);
  plot.addEventListener("pointerdown", move);
  plot.addEventListener("pointerleave", () => {
    for (const {value} of curves) value.textContent = "";
    where.textContent = "";
    line.removeAttribute("style");
  });
}
for (const filters of all(".filters")) {
  const cards = [...filters.nextElementSibling.children], shown = filters.querySelector("output");
  const update = () => {
    const pressed = {};
    for (const {dataset: {filter, value}} of all("[aria-pressed=true]", filters)) (pressed[filter] ??= []).push(value);
    for (const card of cards) card.hidden = !Object.entries(pressed).every(
      ([filter, values]) => values.some(value => card.dataset[filter].split(" ").includes(value)));
    shown.textContent = cards.filter(card => !card.hidden).length + " of " + cards.length;
  };
  filters.hidden = false;
  update();
  for (const button of all("button", filters)) button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
    update();
  });
}
for (const age of all("[data-written]")) { // of a run that trains: how old the page is, and a younger one if there is
  const tell = () => {
    const minutes = Math.floor((Date.now() - Number(age.dataset.written)) / 60000);
    age.textContent = minutes < 1 ? "less than a minute ago" : minutes < 120
      ? minutes + " min ago" : Math.floor(minutes / 60) + " h ago: has the run been stopped?";
  };
  tell();
  setInterval(tell, 10000);
  setInterval(() => {
    const used = all("audio").some(audio => !audio.paused) || all("details[open]").length;
    if (!used && !document.hidden) location.reload();
  }, 60000);
}
"""
