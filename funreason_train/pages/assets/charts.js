// Curves over steps, tokens or hours (uPlot).

const AXES = { step: "step", tokens: "tokens", hours: "hours" };
const drawn = new Set();
const WHOLE = [1, 2, 5].flatMap((one) => [0, 1, 2, 3, 4, 5, 6, 7].map((power) => one * 10 ** power)).sort((a, b) => a - b);

const short = (value) => {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}k`;
  if (size && size < 1e-3) return value.toExponential(0).replace("e-", "e−");
  return String(+value.toPrecision(4));
};

/** Axes, grid and lines in the page's colours. */
function styled(chart, name, log) {
  const line = (stroke) => ({ stroke: colour("soft"), grid: { stroke, width: 1 }, ticks: { stroke, width: 1, size: 4 },
    font: "11px system-ui, sans-serif", labelFont: "11px system-ui, sans-serif", labelSize: 18 });
  const percent = chart.unit === "%";
  const values = (self, ticks) => ticks.map((tick) => (tick === null ? "" : percent ? `${+(100 * tick).toPrecision(4)} %` : short(tick)));
  return [
    { ...line(colour("line")), label: AXES[name], size: 34, incrs: name === "step" ? WHOLE : undefined, values: (self, ticks) => ticks.map(short), space: 60 },
    { ...line(colour("line")), label: percent ? "share" : chart.unit || "value", size: 54, values, space: log ? 24 : 32 },
  ];
}

/** A chart in its panel; `pick` is called with the number of the point that was clicked. */
function curveChart(chart, x, name, pick, height = 190) {
  const legend = make("div", { class: "keys" });
  const place = make("div", { class: "plot" });
  const panel = make("figure", { class: "panel chart" },
    make("figcaption", {}, make("b", {}, chart.title), chart.unit && chart.unit !== "%" ? make("small", {}, chart.unit) : null,
      make("span", {}, chart.about || " ")),
    place, legend);
  const values = chart.series.map((one) => one.values);
  const log = chart.log && values.flat().every((value) => value === null || value > 0);
  const percent = chart.unit === "%";
  const hidden = new Set();
  let plot = null, at = null, width = 0;

  function show(point) {
    at = point;
    const last = (list) => { for (let n = list.length - 1; n >= 0; n -= 1) if (list[n] !== null) return list[n]; return null; };
    chart.series.forEach((one, n) => {
      legend.children[n].lastChild.textContent = figure(point === null ? last(one.values) : one.values[point], percent ? "%" : "");
    });
  }
  append(legend, chart.series.map((one, n) => make("button", { type: "button", class: "key", title: one.key,
    onclick: (event) => {
      const off = hidden.has(n) ? !hidden.delete(n) : Boolean(hidden.add(n));
      event.currentTarget.classList.toggle("off", off);
      plot?.setSeries(n + 1, { show: !off });
    } }, make("i", { class: `dot b${n % 8}` }), `${one.name} `, make("b", {}, ""))));
  show(null);

  const draw = () => {
    width = place.clientWidth || width;
    if (!width) return;
    plot?.destroy();
    const series = chart.series.map((one, n) => ({ stroke: colour(`s${n % 8}`), width: 1.6, spanGaps: true, show: !hidden.has(n),
      points: { show: x[name].length < 40 || one.values.filter((value) => value !== null).length < 20, size: 4, fill: colour(`s${n % 8}`) } }));
    plot = new uPlot({ width, height, series: [{}, ...series], axes: styled(chart, name, log), legend: { show: false },
      padding: [10, 14, 0, 0],
      scales: { x: { time: false }, y: log ? { distr: 3 } : { range: (self, low, high) => range(low, high, percent) } },
      cursor: { sync: { key: pick?.group || "charts" }, points: { size: 6 }, y: false, drag: { x: true, y: false } },
      hooks: { setCursor: [(self) => { const found = self.cursor.idx ?? null; if (found !== at) show(found); }] },
    }, [x[name], ...values], place);
    if (pick) place.querySelector(".u-over").addEventListener("click", () => { if (plot.cursor.idx !== null && plot.cursor.idx !== undefined) pick(plot.cursor.idx); });
    place.querySelector(".u-over").style.cursor = pick ? "pointer" : "crosshair";
  };
  const watch = new ResizeObserver(() => { if (place.clientWidth !== width) draw(); });
  watch.observe(place);
  const one = { panel, draw, end: () => { watch.disconnect(); plot?.destroy(); drawn.delete(one); } };
  drawn.add(one);
  return one;
}

/** Round bounds; shares begin at 0 and end at 1 where they come near. */
function range(low, high, percent) {
  if (low === null || high === null) return [0, 1];
  if (percent) return [0, Math.min(1, Math.max(0.05, high * 1.08))];
  if (low === high) return low === 0 ? [-1, 1] : [Math.min(0, 2 * low), Math.max(0, 2 * high)];
  const space = (high - low) * 0.06;
  return [low >= 0 && low < (high - low) ? 0 : low - space, high + space];
}
addEventListener("repaint", () => { for (const one of drawn) one.draw(); });
