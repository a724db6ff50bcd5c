// Every task of an evaluation, model beside model.

const kindOf = (reason) => {
  const parts = reason.replace(/^turn \d+: /, "").split(": ");
  return parts[0] === "malformed" && parts[1] ? `malformed: ${parts[1]}` : parts[0];
};
const verdict = (share) => (share === null ? "–" : share === 1 ? "✓" : share === 0 ? "✗" : `${Math.round(100 * share)} %`);
const mark = (share) => make("span", { class: `badge ${share === null ? "" : share === 1 ? "ok" : share === 0 ? "bad" : "part-ok"}` }, verdict(share));

async function tasksPage() {
  const app = byId("app"), data = await block("tasks"), models = data.models;
  const rows = data.entries.map((entry, n) => {
    const row = { n, id: entry.id, category: entry.category, block: entry.block, place: entry.place, why: entry.why };
    entry.right.forEach((share, m) => { row[`m${m}`] = share; });
    return row;
  });
  let hits = null; // tasks whose texts hold what was searched for; null: no search
  // Opens on the model that matters: the last one, whose failures are the ones to work on.
  const wanted = () => here().query;
  const model = () => { const at = models.indexOf(wanted().get("model")); return at < 0 ? models.length - 1 : at; };
  const earlier = () => { const at = models.indexOf(wanted().get("against")); return at === model() ? -1 : at; };
  /** Why the chosen model was wrong: its own reason, never another model's. */
  const whyOf = (row) => row.why[model()] || "";

  function matches(row) {
    const query = wanted(), share = row[`m${model()}`];
    const result = query.get("result") ?? "wrong";
    if (result === "wrong" && (share === null || share === 1)) return false;
    if (result === "right" && share !== 1) return false;
    const before = earlier();
    if (before >= 0) {
      const was = row[`m${before}`];
      if (was === null || share === null || (result === "right" ? was >= share : was <= share)) return false;
    }
    if (query.get("category") && row.category !== query.get("category")) return false;
    if (query.get("reason") && kindOf(whyOf(row)) !== query.get("reason")) return false;
    return hits === null || hits.has(row.n);
  }

  const numbersOf = (one) => [one.prompt, ...one.turns.flatMap((turn) => [turn.user, ...turn.gold, ...turn.completions, ...turn.results])];
  async function look() {
    const words = wanted().get("q") || "", needle = words.trim().toLowerCase();
    if (!needle) { hits = null; list.refilter(); return; }
    const found = new Set();
    for (const name of new Set(rows.map((row) => row.block))) {
      const held = await block(name);
      if (!held || (wanted().get("q") || "") !== words) return;
      const hit = unfold(held.texts).map((text) => text.toLowerCase().includes(needle));
      for (const row of rows) {
        if (row.block === name && (row.id.toLowerCase().includes(needle) || held.tasks[row.place].tries.flat().some((one) => numbersOf(one).some((at) => hit[at])))) found.add(row.n);
      }
    }
    hits = found;
    list.refilter();
  }

  const detail = make("section", { class: "detail" }), status = make("span", { class: "soft status" });
  const taskAddress = (row, query = wanted()) => address("tasks", [row.id], query);
  const list = entryList({
    rows, match: matches, chosen: (row) => here().parts[0] !== undefined && inAddress(row.id) === inAddress(here().parts[0]),
    open: (row) => go(taskAddress(row)), empty: "No task matches.",
    columns: [
      { title: "task", field: "id", minWidth: 120, widthGrow: 2, formatter: textCell(), responsive: 0 },
      { title: "category", field: "category", minWidth: 90, widthGrow: 1, formatter: textCell(), responsive: 2 },
      ...models.map((name, m) => ({ title: visible(name), titleFormatter: () => make("span", { title: name }, name.length > 10 ? `${name.slice(0, 9)}…` : name), field: `m${m}`, width: Math.min(110, Math.max(66, 34 + 8 * Math.min(10, name.length))), formatter: (cell) => mark(cell.getValue()), responsive: m === models.length - 1 ? 0 : 1 })),
      { title: "why", field: "n", minWidth: 120, widthGrow: 2, formatter: (cell) => make("span", { class: "soft" }, whyOf(cell.getData()).replace(/^turn \d+: /, "")), responsive: 3, sorter: (a, b, one, other) => (whyOf(one.getData()) < whyOf(other.getData()) ? -1 : 1) },
    ],
  });
  const set = (name, value) => {
    const { parts, query } = here();
    if (value === null) query.delete(name); else query.set(name, value);
    go(address("tasks", parts, query), true);
  };
  const bar = make("div", { class: "filters" });
  function filters() {
    const query = wanted(), chosen = model();
    const named = rows.filter((row) => row.why[chosen]).map((row) => kindOf(row.why[chosen]));
    const field = make("input", { type: "search", placeholder: "search tasks, prompts, answers", "aria-label": "search", value: query.get("q") || "" });
    let typing;
    field.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { set("q", field.value || null); look(); }, 250); });
    const must = (label, values, value, name) => {
      const select = make("select", { "aria-label": label, onchange: () => set(name, select.value) }, values.map(([one, text]) => make("option", { value: one }, text)));
      select.value = value;
      return select;
    };
    bar.replaceChildren();
    append(bar, [field,
      must("model", models.map((name) => [name, name]), models[chosen] ?? "", "model"),
      must("result", [["wrong", "wrong"], ["right", "right"], ["all", "right and wrong"]], query.get("result") ?? "wrong", "result"),
      models.length > 1 ? must("against", [["", "beside any other"], ...models.filter((name, m) => m !== chosen).map((name) => [name, `other than ${name}`])], earlier() < 0 ? "" : models[earlier()], "against") : null,
      choice("category", "all categories", counted(rows.map((row) => row.category)).map(([name, n]) => [name, name, n]), query.get("category") || "", (value) => set("category", value || null)),
      choice("reason", "all reasons", counted(named).map(([name, n]) => [name, name, n]), query.get("reason") || "", (value) => set("reason", value || null)),
      status]);
  }
  list.place.addEventListener("filtered", () => { status.textContent = `${count(list.active().length)} of ${plural(rows.length, "task")}`; });

  /** One attempt of one model, turn by turn. */
  function attempt(one, name, texts, first) {
    const turns = one.turns.map((turn, n) => {
      const answers = turn.completions.map((at, number) => {
        const { thought, rest } = split(texts[at]), results = turn.results[number] === undefined ? "" : texts[turn.results[number]];
        return [rest === null ? titled("Answer, its thought never closed", body(thought)) : [thought ? titled("Thought", body(thought, "thought")) : null, titled("Answer", body(rest))],
          results ? titled("Results", make("div", { class: "result" }, body(results))) : null];
      });
      const same = first.turns[n] && texts[first.turns[n].user] === texts[turn.user];
      return [one.turns.length > 1 ? make("h3", {}, `Turn ${n + 1}`) : null, same ? null : titled("Asked here", body(texts[turn.user])),
        answers.length ? answers : make("p", { class: "soft" }, "no answer")];
    });
    return make("section", { class: `panel try ${one.right ? "right" : ""}` },
      make("div", { class: "headline" }, make("b", {}, name), one.attempt ? make("small", { class: "soft" }, one.attempt) : null, make("span", { class: `badge ${one.right ? "ok" : "bad"}` }, one.right ? "right" : "wrong")),
      one.why.length ? make("ul", { class: "why" }, one.why.map((reason) => make("li", {}, reason))) : null, turns,
      texts[one.prompt] ? folded(`Prompt (${count(texts[one.prompt].length)} characters)`, () => promptView(texts[one.prompt])) : null);
  }

  async function show(row) {
    const at = location.hash;
    detail.replaceChildren();
    detail.scrollTop = 0;
    append(detail, [crumbs(["Tasks", address("tasks", [], wanted())], [row.id]),
      make("div", { class: "headline" }, make("h2", {}, row.id), make("small", { class: "soft" }, row.category), copyButton(() => location.href))]);
    const held = await block(row.block);
    if (location.hash !== at) return;
    const texts = unfold(held.texts), tries = held.tasks[row.place].tries, first = tries[model()]?.[0] || tries.flat()[0];
    append(detail, [first.turns.map((turn, n) => make("div", { class: "pair" },
      titled(first.turns.length > 1 ? `Question, turn ${n + 1}` : "Question", body(texts[turn.user])),
      titled("Expected", turn.gold.length ? body(turn.gold.map((one) => texts[one]).join("\n")) : make("p", { class: "soft" }, "nothing is noted")))),
    make("div", { class: "tries" }, tries.map((some, m) => some.map((one) => attempt(one, models[m], texts, first))))]);
  }

  function overview(wrong) {
    const chosen = model();
    const reasons = counted(rows.filter((row) => row.why[chosen]).map((row) => kindOf(row.why[chosen]))).slice(0, 12);
    detail.replaceChildren();
    append(detail, [wrong ? make("p", { class: "panel note" }, wrong) : null, make("h2", {}, data.title),
      data.shares.length ? intervals(data.shares) : null,
      reasons.length ? [make("h3", {}, `Why ${models[chosen]} is wrong`), make("div", { class: "panel bars" }, reasons.map(([name, n]) => make("button", { type: "button", class: "bar", onclick: () => set("reason", name) }, make("span", {}, name), make("i", { style: { width: `${(100 * n) / reasons[0][1]}%` } }), make("b", {}, count(n)))))] : null,
      make("p", { class: "soft" }, "Choose a task; j and k lead to the next and the previous one.")]);
  }

  const root = make("div", { class: "browser" }, bar, make("div", { class: "panes" }, make("section", { class: "entries" }, list.place), detail));
  append(byId("bar"), [make("strong", { class: "brand" }, data.title), make("nav", { class: "tabs" }, data.report ? make("a", { href: data.report }, "Report") : null), themeButton()]);
  app.replaceChildren(make("div", { class: "holder" }, root));
  document.body.classList.add("wide");
  let last = null;
  const route = () => {
    const { view, parts, query } = here();
    if (query.toString() !== last) {
      last = query.toString();
      if (document.activeElement?.type !== "search") filters();
      list.refilter();
    }
    const row = view === "tasks" && parts[0] !== undefined ? rows.find((one) => inAddress(one.id) === inAddress(parts[0])) : null;
    root.classList.toggle("has-detail", Boolean(parts[0]));
    if (row) { show(row); list.show(row.n); } else { overview(parts[0] ? "This page has no such task." : ""); list.mark(); }
  };
  addEventListener("hashchange", route);
  keys({ j: () => list.step(1), k: () => list.step(-1) });
  list.start();
  route();
  if (wanted().get("q")) look();
}

tasksPage().catch((error) => {
  byId("app").replaceChildren(make("p", { class: "panel note wrong" }, `The data of this page cannot be read: ${error.message}`));
  console.error(error);
});
