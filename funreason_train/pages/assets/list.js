// A long list with filters beside the detail of one entry (Tabulator draws only what is on the screen).

/** A select over counted values: [value, label, count]. */
function choice(label, all, values, chosen, onchange) {
  const select = make("select", { "aria-label": label, onchange: () => onchange(select.value) }, make("option", { value: "" }, all));
  for (const [value, name, number] of values) {
    append(select, [make("option", { value }, number === undefined ? name : `${name} (${count(number)})`)]);
  }
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
  return select;
}

function counted(values) {
  const found = new Map();
  for (const value of values) found.set(value, (found.get(value) || 0) + 1);
  return [...found].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/**
 * The list. `columns` are Tabulator's; `match(row)` is the filter of the moment, `chosen(row)` whether a row is
 * the one that is shown, `open(row)` shows it.
 */
function entryList({ rows, columns, match, chosen, open, empty, sort }) {
  const place = make("div", { class: "list" });
  let table = null, ready = false, waiting = [];
  const mark = () => { if (ready) for (const row of table.getRows("visible")) row.getElement().classList.toggle("chosen", chosen(row.getData())); };
  const active = () => (ready ? table.getData("active") : []);
  const start = () => {
    table = new Tabulator(place, {
      data: rows, columns, index: "n", height: "100%", layout: "fitColumns", responsiveLayout: "hide",
      placeholder: empty, columnDefaults: { headerSortTristate: true, headerHozAlign: "left", resizable: false, tooltip: false },
      initialSort: sort || [], rowHeight: 40, headerVisible: true,
      rowFormatter: (row) => row.getElement().classList.toggle("chosen", chosen(row.getData())),
    });
    table.on("tableBuilt", () => {
      ready = true;
      table.setFilter(match);
      for (const then of waiting.splice(0)) then();
      place.dispatchEvent(new Event("filtered"));
    });
    table.on("rowClick", (event, row) => open(row.getData()));
  };
  const then = (what) => { if (ready) what(); else waiting.push(what); };
  return {
    place, start, active, mark,
    refilter: () => then(() => { table.setFilter(match); mark(); place.dispatchEvent(new Event("filtered")); }),
    replace: (now) => then(async () => { await table.replaceData(now); table.setFilter(match); place.dispatchEvent(new Event("filtered")); }),
    show: (n) => then(() => { mark(); const row = table.getRow(n); if (row && row.getPosition()) table.scrollToRow(n, "center", false).catch(() => {}).then(mark); }),
    step: (by) => {
      const some = active(), at = some.findIndex(chosen);
      const next = some[Math.max(0, Math.min(some.length - 1, at + by))];
      if (next && !(at >= 0 && chosen(next))) open(next);
    },
    redraw: () => then(() => table.redraw(true)),
  };
}

/** j and k, or the arrows with Alt: the next and the previous entry. */
function keys(handlers) {
  addEventListener("keydown", (event) => {
    if (event.target.matches?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    handlers[event.key]?.(event);
  });
}

/** A text cell; `className(value, row)` colours it. */
const textCell = (shown = (value) => value, className) => (cell) =>
  make("span", { class: className ? className(cell.getValue(), cell.getData()) : "" }, shown(cell.getValue(), cell.getData()));

/** Where the reader is: [text, address] each, the last one without. */
function crumbs(...parts) {
  return make("nav", { class: "crumbs", "aria-label": "where you are" }, parts.map(([text, to], at) => [
    at ? make("span", { class: "soft" }, " › ") : null,
    to ? make("a", { href: to }, text) : make("b", {}, text)]));
}
