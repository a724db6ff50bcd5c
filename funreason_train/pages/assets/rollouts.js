// The rollout browser: trend -> step -> group -> sample.

const FILTERS = ["step", "score", "signal", "category", "reason", "q"];
let store = null; // the index of the page's rollouts, as rows
let found = null; // samples whose texts hold what was searched for; null: no search

/** The index's columns as one object a sample. */
function rolloutRows(index) {
  const { columns, names, groups, steps } = index;
  const rows = steps.map((step, n) => ({
    n, step, group: groups[columns.group[n]], at: columns.group[n], sample: columns.sample[n], place: columns.place[n],
    score: columns.score[n], reason: names.reason[columns.reason[n]], category: names.category[columns.category[n]],
    row: names.row[columns.row[n]], responses: columns.responses[n], characters: columns.characters[n],
    tokens: columns.tokens[n], advantage: columns.advantage[n], kept: columns.tokens_kept[n],
  }));
  groups.forEach((group, at) => { group.samples = []; group.at = at; });
  for (const row of rows) row.group.samples.push(row);
  for (const group of groups) {
    const scores = group.samples.map((row) => row.score ?? 0);
    group.mean ??= scores.reduce((sum, one) => sum + one, 0) / scores.length; // of a group that is cut, it is given
    group.signal ??= Math.max(...scores) !== Math.min(...scores);
  }
  let best = 0;
  for (const row of rows) best = Math.max(best, row.score ?? 0);
  return { rows, groups, best: best || 1, note: index.note, meanings: index.meanings || {}, steps: [...new Set(steps)] };
}

const good = (row) => row.score !== null && row.score >= store.best;
/** What is said of a group that is not here whole. */
const cut = (group) => (group.of ? ` · the first ${group.samples.length} of ${plural(group.of, "sample")} are here` : "");
const badge = (row) => make("span", { class: `badge ${good(row) ? "ok" : (row.score ?? 0) > 0 ? "part-ok" : "bad"}` }, figure(row.score));
const sampleAddress = (row, query = here().query) => address("rollouts", [row.step, row.group.name, row.sample], query);
const groupAddress = (group, query = here().query) => address("rollouts", [group.step, group.name], query);

function matches(row) {
  const query = here().query, wanted = (name) => query.get(name) || "";
  if (wanted("step") && String(row.step) !== wanted("step")) return false;
  if (wanted("category") && row.category !== wanted("category")) return false;
  if (wanted("reason") && row.reason !== wanted("reason")) return false;
  if (wanted("signal") && row.group.signal !== (wanted("signal") === "yes")) return false;
  const score = wanted("score");
  if (score === "best" && !good(row)) return false;
  if (score === "zero" && (row.score ?? 0) > 0) return false;
  if (score === "between" && (good(row) || (row.score ?? 0) <= 0)) return false;
  return found === null || found.has(row.n);
}

/** Looks through the texts of all samples, step by step; what was typed since ends it. */
async function search(words, progress) {
  const needle = words.trim().toLowerCase();
  if (!needle) { found = null; return true; }
  const hits = new Set();
  for (const [at, step] of store.steps.entries()) {
    const held = await block(`texts-${step}`);
    if ((here().query.get("q") || "") !== words) return false; // asked after the wait: nothing of an ended search is told
    if (!held) continue;
    const hit = unfold(held.texts).map((text) => text.toLowerCase().includes(needle));
    for (const row of store.rows) {
      if (row.step !== step || hits.has(row.n)) continue;
      const sample = held.samples[row.place];
      const numbers = [...(sample.gold || []), ...sample.responses.flatMap((one) => [one.prompt, one.answer, ...(one.results || []), ...(one.gold || [])])];
      if (row.row.toLowerCase().includes(needle) || numbers.some((number) => hit[number])) hits.add(row.n);
    }
    progress(`searched ${at + 1} of ${store.steps.length} steps`);
  }
  found = hits;
  return true;
}

function rolloutsView(data) {
  store = rolloutRows(data.rollouts);
  found = null;
  const detail = make("section", { class: "detail", "aria-live": "polite" });
  const status = make("span", { class: "soft status" });
  let shown = null; // the row of the moment

  const set = (name, value) => {
    const { parts, query } = here();
    if (value) query.set(name, value); else query.delete(name);
    go(address("rollouts", parts, query), true);
  };
  const list = entryList({
    rows: store.rows, match: matches, chosen: (row) => shown !== null && row.n === shown.n,
    open: (row) => go(sampleAddress(row)), empty: "No sample matches.",
    columns: [
      { title: "step", field: "step", width: 66, hozAlign: "right", responsive: 0 },
      { title: "score", field: "score", width: 74, formatter: (cell) => badge(cell.getData()), responsive: 0 },
      { title: "reason", field: "reason", minWidth: 110, widthGrow: 2, formatter: textCell(), responsive: 0 },
      { title: "category", field: "category", minWidth: 90, widthGrow: 1, formatter: textCell(), responsive: 2 },
      { title: "row", field: "row", minWidth: 120, widthGrow: 2, formatter: textCell(), responsive: 4 },
      { title: "adv.", headerTooltip: "advantage", field: "advantage", width: 70, hozAlign: "right", formatter: textCell((value) => (value === null ? "" : value.toFixed(2))), responsive: 3 },
      { title: "tokens", field: "tokens", width: 80, hozAlign: "right", formatter: textCell((value) => (value === null ? "" : count(value))), responsive: 3 },
    ],
  });

  const start = here().query;
  const field = make("input", { type: "search", placeholder: "search prompts, answers, rows", "aria-label": "search", value: start.get("q") || "" });
  let typing;
  field.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { set("q", field.value); look(); }, 300); });
  const look = async () => {
    const words = here().query.get("q") || "";
    status.textContent = words ? "searching …" : "";
    try { if (await search(words, (text) => { status.textContent = text; })) list.refilter(); } catch (error) { status.textContent = `the search failed: ${error.message}`; }
  };
  const bar = make("div", { class: "filters" },
    field,
    choice("step", "all steps", store.steps.map((step) => [String(step), `step ${step}`]), start.get("step") || "", (value) => set("step", value)),
    choice("score", "any score", [["best", `right (${figure(store.best)})`], ["between", "in between"], ["zero", "0 or less"]], start.get("score") || "", (value) => set("score", value)),
    choice("reason", "all reasons", counted(store.rows.map((row) => row.reason)).map(([name, n]) => [name, name || "(none)", n]), start.get("reason") || "", (value) => set("reason", value)),
    choice("category", "all categories", counted(store.rows.map((row) => row.category)).filter(([name]) => name).map(([name, n]) => [name, name, n]), start.get("category") || "", (value) => set("category", value)),
    choice("gradient", "all groups", [["yes", "groups with a gradient"], ["no", "groups without"]], start.get("signal") || "", (value) => set("signal", value)),
    make("button", { type: "button", class: "small", onclick: () => { field.value = ""; found = null; go(address("rollouts", here().parts), true); rebuildSelects(); } }, "Clear"),
    make("button", { type: "button", class: "small", onclick: () => go(address("rollouts", ["trend"], here().query)) }, "Trend"),
    status);
  const rebuildSelects = () => { for (const select of bar.querySelectorAll("select")) select.selectedIndex = 0; list.refilter(); };
  list.place.addEventListener("filtered", () => {
    const n = list.active().length;
    status.textContent = `${count(n)} of ${plural(store.rows.length, "sample")}`;
  });

  let last = "";
  const route = () => {
    const { view, parts, query } = here();
    if (view !== "rollouts") return;
    const filters = FILTERS.map((name) => query.get(name) || "").join("\u0000");
    if (filters !== last) { last = filters; for (const select of bar.querySelectorAll("select")) { const name = { gradient: "signal" }[select.getAttribute("aria-label")] || select.getAttribute("aria-label"); select.value = query.get(name) || ""; } list.refilter(); }
    const [step, name, sample] = parts;
    const group = store.groups.find((one) => String(one.step) === step && one.name === name);
    shown = group && sample !== undefined ? group.samples.find((row) => String(row.sample) === sample) || null : null;
    root.classList.toggle("has-detail", Boolean(step));
    detail.scrollTop = 0;
    if (step === "trend") showTrend(detail, data, "");
    else if (shown) { showSample(detail, shown); list.show(shown.n); } else if (name && (!group || sample !== undefined)) showTrend(detail, data, "This page has no such sample.");
    else if (group) showGroup(detail, group);
    else if (step && store.steps.includes(Number(step))) showStep(detail, Number(step), data);
    else showTrend(detail, data, step ? `This page has no step ${step}.` : "");
    list.mark();
  };
  const root = make("div", { class: "browser" }, bar, make("div", { class: "panes" }, make("section", { class: "entries" }, list.place), detail));
  return {
    root, list, route,
    begin: () => { list.start(); route(); if (here().query.get("q")) look(); },
    step: (by) => { if (shown || by > 0) list.step(by); },
    renew: (now) => { store = rolloutRows(now.rollouts); data.rollouts = now.rollouts; data.training = now.training; list.replace(store.rows); },
  };
}

// --- what is shown on the right ----------------------------------------------------------------------------------

const allCrumb = () => ["Rollouts", address("rollouts", [], here().query)];

/** The figures of each step that is shown, for the trend. */
function trendOf(rows) {
  const steps = new Map();
  for (const row of rows) {
    const one = steps.get(row.step) || { n: 0, score: 0, right: 0, signal: new Set(), groups: new Set() };
    one.n += 1; one.score += row.score ?? 0; one.right += good(row) ? 1 : 0; one.groups.add(row.at);
    if (row.group.signal) one.signal.add(row.at);
    steps.set(row.step, one);
  }
  const all = [...steps].sort((a, b) => a[0] - b[0]);
  return { steps: all.map(([step]) => step), score: all.map(([, one]) => one.score / one.n), right: all.map(([, one]) => one.right / one.n),
    flat: all.map(([, one]) => 1 - one.signal.size / one.groups.size) };
}

function showTrend(detail, data, wrong) {
  const rows = store.rows.filter((row) => matches(row));
  const trend = trendOf(rows), x = { step: trend.steps };
  const pick = (at) => go(address("rollouts", [trend.steps[at]], here().query));
  const charts = trend.steps.length ? [
    curveChart({ title: "Score of the samples in this list", unit: "mean score", about: "A click opens the step.", series: [{ key: "score", name: "mean", values: trend.score }] }, x, "step", pick),
    curveChart({ title: "Right, and groups without gradient", unit: "%", about: "Of the samples, and of the groups, in this list.", series: [{ key: "right", name: "samples right", values: trend.right }, { key: "flat", name: "groups without gradient", values: trend.flat }] }, x, "step", pick),
  ] : [];
  const reasons = counted(rows.map((row) => row.reason)).slice(0, 12);
  detail.replaceChildren();
  append(detail, [crumbs(["Rollouts", address("rollouts", [], here().query)], ["trend"]), wrong ? make("p", { class: "note panel" }, wrong) : null,
    store.note ? make("p", { class: "soft" }, store.note) : null,
    make("div", { class: "charts" }, charts.map((one) => one.panel)),
    make("h3", {}, "Reasons"),
    make("div", { class: "panel bars" }, reasons.map(([name, n]) => make("a", { class: "bar", href: filterAddress("reason", name) },
      make("span", {}, name || "(none)", store.meanings[name] ? make("small", {}, store.meanings[name]) : null), make("i", { style: { width: `${(100 * n) / reasons[0][1]}%` }, class: name === "right" ? "right" : "" }), make("b", {}, count(n))))),
    make("h3", {}, "Steps"),
    make("div", { class: "chips" }, trend.steps.map((step, at) => make("a", { class: "chip", href: address("rollouts", [step], here().query), title: `mean score ${figure(trend.score[at])}` }, `${step}`, make("small", {}, figure(trend.score[at])))))]);
  for (const one of charts) one.draw();
}

function filterAddress(name, value) {
  const { parts, query } = here();
  query.set(name, value);
  return address("rollouts", parts, query);
}

function showStep(detail, step, data) {
  const groups = store.groups.filter((group) => group.step === step);
  const rl = data.training.find((one) => one.stage === "rl"), at = rl ? rl.x.step.indexOf(step) : -1;
  const figures = at < 0 ? [] : rl.charts.filter((chart) => chart.title !== "Why samples scored as they did").flatMap((chart) => chart.series.slice(0, 1).map((one) => [chart.title, one.values[at], chart.unit]))
    .filter(([, value]) => value !== null && value !== undefined).slice(0, 12);
  const place = store.steps.indexOf(step);
  const beside = (by, text) => (store.steps[place + by] === undefined ? null : make("a", { class: "small button", href: address("rollouts", [store.steps[place + by]], here().query) }, text));
  detail.replaceChildren();
  append(detail, [crumbs(allCrumb(), [`step ${step}`]),
    make("div", { class: "headline" }, make("h2", {}, `Step ${step}`), beside(-1, "← earlier"), beside(1, "later →")),
    figures.length ? make("div", { class: "facts panel" }, figures.map(([name, value, unit]) => make("div", {}, make("span", {}, name), make("b", {}, figure(value, unit === "%" ? "%" : ""))))) : null,
    make("h3", {}, plural(groups.length, "group")),
    make("div", { class: "groups" }, groups.map((group) => make("a", { class: `panel group ${group.signal ? "" : "flat"}`, href: groupAddress(group) },
      make("span", { class: "question" }, group.question || group.name),
      make("span", { class: "scores" }, group.samples.map(badge)),
      make("small", { class: "soft" }, `mean ${figure(group.mean)}`, group.signal ? "" : " · no gradient", cut(group), group.samples[0].category ? ` · ${group.samples[0].category}` : ""))))]);
}

function switcher(group, shown) {
  return make("div", { class: "switcher" }, group.samples.map((row) => make("a", { class: "chip", href: sampleAddress(row), "aria-current": row === shown ? "true" : null, title: row.reason },
    `${row.sample} `, badge(row))), make("a", { class: "small button", href: groupAddress(group) }, "Compare the group"));
}

async function textsOf(step) {
  const held = await block(`texts-${step}`);
  if (!held) throw new Error("the texts of this step are not in this page");
  return { texts: unfold(held.texts), samples: held.samples };
}

/** Fills the detail when its texts have come, unless another address was chosen meanwhile. */
async function filling(detail, step, fill) {
  const at = location.hash;
  const wait = make("p", { class: "soft" }, "…");
  detail.append(wait);
  try {
    const held = await textsOf(step);
    if (location.hash !== at) return;
    wait.remove();
    append(detail, [fill(held)]);
  } catch (error) { wait.textContent = `These samples cannot be shown: ${error.message}`; }
}

function showGroup(detail, group) {
  detail.replaceChildren();
  append(detail, [crumbs(allCrumb(), [`step ${group.step}`, address("rollouts", [group.step], here().query)], [`group ${group.name}`]),
    make("div", { class: "headline" }, make("h2", {}, "The samples of a group"), make("small", { class: "soft" }, `${group.samples[0].row} · mean ${figure(group.mean)}${group.signal ? "" : " · all the same: no gradient"}${cut(group)}`)),
    switcher(group, null)]);
  filling(detail, group.step, ({ texts, samples }) => {
    const first = samples[group.samples[0].place];
    return [
      titled("Prompt", promptView(texts[first.responses[0].prompt])),
      first.gold ? titled("Expected", make("ul", { class: "calls" }, first.gold.length ? first.gold.map((at) => make("li", {}, make("code", {}, texts[at]))) : make("li", {}, "an answer in words"))) : null,
      make("div", { class: "tries" }, group.samples.map((row) => make("section", { class: `panel try ${good(row) ? "right" : ""}` },
        make("div", { class: "headline" }, make("a", { href: sampleAddress(row) }, `Sample ${row.sample}`), badge(row), make("span", {}, row.reason), row.advantage === null ? null : make("small", { class: "soft" }, `advantage ${row.advantage.toFixed(2)}`)),
        samples[row.place].responses.map((one) => responseView(texts[one.answer], { calls: one.calls.map((at) => texts[at]), gold: first.gold ? first.gold.map((at) => texts[at]) : null, results: (one.results || []).map((at) => texts[at]), ok: one.ok, why: one.why }))))),
    ];
  });
}

function showSample(detail, row) {
  const group = row.group;
  detail.replaceChildren();
  append(detail, [crumbs(allCrumb(), [`step ${row.step}`, address("rollouts", [row.step], here().query)], [`group ${group.name}`, groupAddress(group)], [`sample ${row.sample}`]),
    make("div", { class: "headline" }, badge(row), make("h2", {}, row.reason || "no reason given"), store.meanings[row.reason] ? make("span", { class: "soft" }, store.meanings[row.reason]) : null, copyButton(() => location.href)),
    make("div", { class: "facts panel" },
      [["data row", row.row], ["category", row.category], ["advantage", row.advantage === null ? "" : figure(row.advantage)], ["tokens", row.tokens === null ? "" : count(row.tokens)],
        ["responses", row.responses > 1 ? String(row.responses) : ""]].filter(([, value]) => value).map(([name, value]) => make("div", {}, make("span", {}, name), make("b", {}, value)))),
    switcher(group, row)]);
  filling(detail, row.step, ({ texts, samples }) => {
    const sample = samples[row.place], gold = sample.gold ? sample.gold.map((at) => texts[at]) : null;
    let before = 0;
    const parts = sample.responses.map((one, at) => {
      const prompt = texts[one.prompt], skip = before;
      before = messagesOf(prompt).length;
      const turn = one.turn === undefined ? null : make("h3", {}, `Turn ${one.turn + 1}, response ${at + 1} of ${sample.responses.length}`);
      return [turn, titled("Prompt", promptView(prompt, sample.responses.length > 1 ? skip : 0)),
        responseView(texts[one.answer], { calls: one.calls.map((n) => texts[n]), gold, results: (one.results || []).map((n) => texts[n]), ok: one.ok, why: one.why }),
        one.gold ? titled("Gold of this turn", make("ul", { class: "calls" }, one.gold.map((n) => make("li", {}, make("code", {}, texts[n]))))) : null,
        tokensPart(row, at, sample)];
    });
    return [parts, titled("Figures of the reward", make("div", { class: "facts panel" }, Object.entries(sample.figures).map(([name, value]) => make("div", {}, make("span", {}, name), make("b", {}, figure(value)))))),
      make("p", { class: "soft" }, `rl/rollouts/${row.step}.jsonl, line ${sample.lines.join(", ")}`)];
  });
}

function tokensPart(row, at, sample) {
  if (!row.kept) return make("p", { class: "soft" }, row.tokens === null ? "The tokens of this sample were not kept (rl.keep_tokens)." : "The tokens of this sample are not in this page; funreason-train report serve shows them.");
  const box = make("div", { class: "part" });
  const button = make("button", { type: "button", onclick: async () => {
    button.disabled = true;
    try {
      const held = await block(`tokens-${row.step}`), packed = held?.samples[String(row.place)]?.[at];
      if (!packed) throw new Error("they are not in this page");
      box.replaceChildren(make("h4", {}, "Tokens as they were trained"), tokenView(tokensOf(packed, held.pieces)));
    } catch (error) { box.append(make("p", { class: "wrong" }, `The tokens cannot be shown: ${error.message}`)); }
  } }, "Show the tokens as they were trained");
  box.append(button);
  return box;
}
