// What every page of this project shares: text that stays text, blocks of data, addresses, colours.

const byId = (id) => document.getElementById(id);
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/** A text in which nothing is hidden: control characters and lone surrogates are shown by their code. */
function visible(text) {
  return String(text).replace(INVISIBLE, (one) =>
    `⟨U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** An element. Children are nodes or texts; nothing in them becomes markup. */
function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "style") Object.assign(node.style, value);
    else node.setAttribute(name, value === true ? "" : visible(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : visible(child));
  }
  return node;
}

const count = (number) => Math.round(number).toLocaleString("en");
const plural = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

/** A figure with about four digits. */
function figure(value, unit = "") {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (unit === "%") return `${(100 * value).toFixed(Math.abs(value) < 0.0995 ? 2 : 1)} %`;
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(2)
    : size >= 1000 ? count(value) : String(Number(value.toPrecision(4)));
  return unit ? `${text} ${unit}` : text;
}

function duration(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// --- data ------------------------------------------------------------------------------------------------

const live = document.body.dataset.live === "1";
const opened = new Map();
const OPENED = 24; // blocks kept open: a step of texts may be megabytes

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function loaded() {
  if (document.readyState === "loading") await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
}

/** A block of the page's data by name; null if the page has none of that name. */
async function block(name) {
  if (opened.has(name)) return opened.get(name);
  const coming = (async () => {
    let held = byId(`block-${name}`);
    if (!held && !live) { await loaded(); held = byId(`block-${name}`); }
    if (held) return inflate(held.textContent);
    if (!live) return null;
    const answer = await fetch(`block/${name}`, { cache: "no-store" });
    return answer.ok ? inflate(await answer.text()) : null;
  })();
  opened.set(name, coming);
  coming.catch(() => opened.delete(name));
  while (opened.size > OPENED) opened.delete(opened.keys().next().value);
  return coming;
}

/** The texts of a block: see `Texts` in pages/embed.py. */
function unfold(texts) {
  const whole = [];
  for (const one of texts) whole.push(typeof one === "string" ? one : whole[one[0]].slice(0, one[1]) + one[2]);
  return whole;
}

// --- addresses: #/VIEW/PART/PART?name=value ----------------------------------------------------------------

const inAddress = (text) => encodeURIComponent(String(text).replace(/\p{Cs}/gu, "\ufffd"));

function here() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  let parts;
  try { parts = path.split("/").filter(Boolean).map(decodeURIComponent); } catch { parts = []; }
  return { view: parts[0] || "", parts: parts.slice(1), query: new URLSearchParams(query) };
}

function address(view, parts = [], query = new URLSearchParams()) {
  const text = query.toString();
  return `#/${[view, ...parts].filter((part) => part !== "").map(inAddress).join("/")}${text ? `?${text}` : ""}`;
}

/** Goes to an address; `quietly` puts no step into the browser's history. */
function go(to, quietly = false) {
  if (location.hash === to) return;
  if (quietly) { history.replaceState(null, "", to); dispatchEvent(new HashChangeEvent("hashchange")); } else location.hash = to;
}

// --- colours -----------------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];
let theme = "auto";
try { theme = THEMES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto"; } catch { /* a page without storage */ }

function paint() {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("repaint"));
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function themeButton() {
  const label = () => `${{ auto: "◐", light: "☀", dark: "☾" }[theme]}`;
  const button = make("button", { class: "icon", type: "button", title: "Colours: as the system, light, dark",
    "aria-label": "Colours", onclick: () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try { localStorage.setItem("theme", theme); } catch { /* it holds for this visit */ }
      button.textContent = label();
      paint();
    } }, label());
  return button;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("repaint")));
paint();

// --- parts of pages ------------------------------------------------------------------------------------------

/** A table of texts as pages/table.py has it; it scrolls where it is wider than the screen. */
function plainTable(of) {
  const cells = (row, tag) => row.map((cell, at) => make(tag, { class: at < of.texts ? "l" : "", "data-name": tag === "td" ? of.head[at] : null }, cell));
  const rows = of.rows.map((row, at) =>
    make("tr", { class: of.total && at === of.rows.length - 1 ? "total" : "" }, cells(row, "td")));
  return [
    make("div", { class: "panel scroll", tabindex: "0" }, make("table", { class: "stacks" },
      make("thead", {}, make("tr", {}, cells(of.head, "th"))), make("tbody", {}, rows))),
    of.notes.length ? make("ul", { class: "notes" }, of.notes.map((note) => make("li", {}, note))) : null,
  ];
}

/** Shares with their intervals on a scale from 0 to 100 per cent. */
function intervals(shares) {
  const per = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(2)}%`;
  return make("div", { class: "panel intervals" }, shares.map((one, at) => make("div", { class: "interval" },
    make("span", { class: "name" }, one.name),
    make("span", { class: "rail", title: `${one.name}: ${figure(one.value, "%")} (${figure(one.low, "%")} to ${figure(one.high, "%")})` },
      make("i", { class: `span b${at % 6}`, style: { left: per(one.low), width: per(one.high - one.low) } }),
      make("i", { class: `point b${at % 6}`, style: { left: per(one.value) } })),
    make("b", {}, figure(one.value, "%")),
    make("small", {}, `${figure(one.low, "%").replace(" %", "")} to ${figure(one.high, "%")}`))));
}

function copyButton(text, label = "Copy link") {
  const button = make("button", { class: "small", type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(text()); button.textContent = "Copied"; } catch { button.textContent = "Copy the address above"; }
    setTimeout(() => { button.textContent = label; }, 1600);
  } }, label);
  return button;
}
