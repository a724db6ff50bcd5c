// The sections of the report: head, times, training, evaluation, data, settings.

const STATES = { done: "ok", running: "busy", failed: "bad", stopped: "part-ok", killed: "bad", interrupted: "part-ok" };

function section(id, title, ...content) {
  return make("section", { id, class: "section" }, make("h2", {}, title), content);
}

function headSection(data) {
  return [
    make("div", { class: "headline" }, make("h1", {}, data.title), data.state ? make("span", { class: `badge ${STATES[data.state] || ""}` }, data.state) : null),
    make("div", { class: "figures" }, data.tiles.map((tile) => make("div", { class: "panel figure" }, make("span", {}, tile.name), make("b", {}, tile.value), make("small", {}, tile.note || " ")))),
    make("div", { class: "panel settings" }, data.facts.map(([name, value]) => make("div", { class: value.length > 60 ? "long" : "" }, make("code", {}, name), make("span", {}, value)))),
    data.links.length ? make("p", { class: "links" }, data.links.map((link) => make("a", { href: link.href }, link.name))) : null,
  ];
}

/** A bar a stage; those of a resumed stage stand apart. */
function timelineSection(timeline) {
  if (!timeline.rows.length) return null;
  const end = timeline.end || 1, per = (seconds) => `${((100 * seconds) / end).toFixed(3)}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return section("timeline", "Stages", make("div", { class: "panel timeline" },
    timeline.rows.map((row, at) => make("div", { class: "lane" },
      make("span", { class: "name" }, row.title, row.state && row.state !== "done" ? make("span", { class: `badge ${STATES[row.state] || ""}` }, row.state) : null),
      make("div", { class: "rail" }, row.bars.map((bar) => make("i", { class: `bar b${at % 6} ${bar.state === "done" ? "" : "cut"}`, title: `${row.title}: ${duration(bar.to - bar.from)}, ${bar.state || ""}`,
        style: { left: per(bar.from), width: `max(3px, ${per(bar.to - bar.from)})` } }))),
      make("b", {}, duration(row.seconds)),
      make("small", {}, [row.peak_bytes ? `${(row.peak_bytes / 2 ** 30).toFixed(row.peak_bytes < 2 ** 30 ? 2 : 1)} GiB at most` : "", row.attempts > 1 ? `${row.attempts} attempts` : ""].filter(Boolean).join(" · ")),
      row.headline ? make("small", { class: "told" }, row.headline) : null)),
    make("div", { class: "lane scale" }, make("span", { class: "name" }), make("div", { class: "rail" }, ticks.map((tick) => make("small", { style: { left: per(tick * end) } }, duration(tick * end)))), make("b"), make("small"))),
  timeline.clock ? null : make("p", { class: "soft" }, "One after the other, as long as each took: the times of day were not noted."));
}

let axis = "step";

function trainingSection(data, redraw) {
  return data.training.map((stage) => {
    const names = Object.keys(stage.x), name = names.includes(axis) ? axis : "step";
    const pick = (at) => go(address("rollouts", [stage.x.step[at]]));
    const shown = stage.stage === "rl" && data.rollouts ? new Set(data.rollouts.steps) : null;
    const toStep = shown ? (at) => { if (shown.has(stage.x.step[at])) pick(at); } : null;
    if (toStep) toStep.group = "rl";
    const charts = stage.charts.map((chart) => curveChart(chart, stage.x, name, toStep));
    const choices = names.map((one) => make("button", { type: "button", class: "small", "aria-pressed": String(one === name), onclick: () => { axis = one; redraw(); } }, AXES[one]));
    return section(stage.stage, stage.title,
      make("div", { class: "buttons" }, make("span", { class: "soft" }, `${plural(stage.steps, "step")}${stage.total && stage.total !== stage.steps ? ` of ${count(stage.total)}` : ""}, over`), choices,
        make("span", { class: "soft hint" }, toStep ? "Drag to zoom, double click to reset; click a point to see its rollouts." : "Drag to zoom, double click to reset.")),
      make("div", { class: "charts" }, charts.map((one) => one.panel)));
  });
}

function evaluationSection(data) {
  if (!data.evaluations.length) return null;
  return section("evaluation", "Evaluation", data.evaluations.map((one) => [
    make("h3", {}, one.title, one.page ? make("a", { class: "small button", href: one.page }, "every task, model beside model") : null),
    one.shares.length ? intervals(one.shares) : null,
    one.notes.map((note) => make("p", { class: "panel note" }, note)),
    one.tables.map((table) => [make("h4", {}, table.title), plainTable(table)])]));
}

function dataSection(data) {
  const { account, rejected } = data.data;
  if (!account && !rejected) return null;
  return section("data", "Data", account ? plainTable(account.table) : null, rejected ? rejectedPart(rejected) : make("p", { class: "soft" }, "No row was rejected."));
}

function rejectedPart(rejected) {
  const place = make("div", { class: "rejected" });
  const list = make("div", { class: "panel bars reasons" }, rejected.reasons.map((one) => make("button", { type: "button", class: "bar", onclick: (event) => {
    for (const other of list.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    show(one);
  } }, make("span", {}, make("code", {}, one.reason), make("small", {}, one.meaning || one.source)), make("i", { style: { width: `${(100 * one.rows) / rejected.reasons[0].rows}%` } }), make("b", {}, count(one.rows)))));
  async function show(one) {
    place.replaceChildren(make("p", { class: "soft" }, "…"));
    const held = await block("rejected");
    if (!held) { place.replaceChildren(make("p", { class: "wrong" }, "The rows are not in this page.")); return; }
    const texts = unfold(held.texts), rows = held.examples.filter((row) => row.source === one.source && row.reason === one.reason);
    place.replaceChildren(make("h4", {}, `${one.reason}: ${count(rows.length)} of ${plural(one.rows, "row")}`), ...rows.map((row, at) =>
      make("details", { class: "panel example", open: at === 0 }, make("summary", {}, make("code", {}, row.position), make("span", { class: "soft" }, row.detail)), body(texts[row.row]))));
  }
  return [make("h3", {}, "Rejected rows"), make("p", { class: "soft" }, "Every row that was not used, with the reason; all of them stand in rejected.jsonl."), list, place];
}

function planSection(data) {
  return data.plan ? section("plan", "Plan and measurement", plainTable(data.plan)) : null;
}

function settingsSection(data) {
  if (!data.settings.length) return null;
  const list = make("div", { class: "panel settings all" });
  const field = make("input", { type: "search", placeholder: "search settings", "aria-label": "search settings" });
  const draw = () => {
    const words = field.value.trim().toLowerCase();
    list.replaceChildren(...data.settings.filter(([name, value]) => !words || `${name} ${value}`.toLowerCase().includes(words))
      .map(([name, value]) => make("div", { class: name.length + value.length > 70 ? "long" : "" }, make("code", {}, name), make("span", {}, value))));
  };
  field.addEventListener("input", draw);
  return section("settings", "Settings", folded(`${count(data.settings.length)} settings of the latest command`, () => { draw(); return make("div", {}, field, list); }));
}
