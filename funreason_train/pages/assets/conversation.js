// A prompt, an answer and what came of it, and the tokens as they were trained.

const LONG = 30000; // characters drawn at once

/** A text as it stands; a very long one is drawn in parts. */
function body(text, className = "") {
  const box = make("pre", { class: className });
  if (!text.trim()) { box.append(make("span", { class: "soft" }, text ? "(white space only)" : "(empty)")); return box; }
  let at = 0;
  const more = make("button", { type: "button", class: "small", onclick: () => extend() });
  const extend = () => {
    more.remove();
    box.append(visible(text.slice(at, at + LONG)));
    at += LONG;
    if (at < text.length) { more.textContent = `${count(text.length - at)} more characters`; box.append(more); }
  };
  extend();
  return box;
}

/** The messages of a prompt in Qwen's form; all of it in one if it is in another. */
function messagesOf(prompt) {
  const parts = prompt.split("<|im_start|>");
  if (parts.length < 2 || parts[0].trim()) return [["prompt", prompt]];
  return parts.slice(1).map((part) => {
    const end = part.indexOf("\n");
    const role = part.slice(0, end < 0 ? undefined : end);
    return [role === "user" && part.slice(end + 1).trimStart().startsWith("<tool_response>") ? "tool" : role, end < 0 ? "" : part.slice(end + 1).replace(/\n$/, "").replace(/<\|im_end\|>$/, "")];
  }).filter(([role, text], at, all) => !(at === all.length - 1 && role === "assistant" && text.replace("<think>", "").trim() === ""));
}

function message(role, content, className = "") {
  return make("div", { class: `message ${className}` }, make("div", { class: "role" }, role), make("div", {}, content));
}

function folded(summary, fill, open = false) {
  const box = make("details", { open }, make("summary", {}, summary));
  const once = () => { if (box.open && box.childElementCount === 1) append(box, [fill()]); };
  box.addEventListener("toggle", once);
  if (open) once();
  return box;
}

/** A prompt message by message, the system prompt folded; `skip` messages of the beginning were shown before. */
function promptView(prompt, skip = 0) {
  const messages = messagesOf(prompt);
  const shown = messages.slice(skip).map(([role, text]) => message(role,
    role === "system" || text.length > 4000 ? folded(`${count(text.length)} characters`, () => body(text)) : body(text), `from-${role.replace(/\W/g, "")}`));
  return make("div", { class: "panel conversation" }, shown.length ? shown : message("prompt", "as before"),
    message("exact text", folded(`${count(prompt.length)} characters, as the model was given them`, () => body(prompt)), "quiet"));
}

/** Thought and answer of a completion. */
function split(answer) {
  const at = answer.indexOf("</think>");
  return at < 0 ? { thought: answer, rest: null } : { thought: answer.slice(0, at).trim(), rest: answer.slice(at + 8).trim() };
}

/** Lines of calls; one that the other side has not is marked. */
function callLines(calls, other, className) {
  if (!calls.length) return make("div", { class: "soft" }, "none: an answer in words");
  const left = [...other];
  return make("ul", { class: "calls" }, calls.map((call) => {
    const at = left.indexOf(call);
    if (at >= 0) left.splice(at, 1);
    return make("li", { class: at >= 0 ? "same" : className }, make("code", {}, call));
  }));
}

function titled(title, ...content) {
  return make("div", { class: "part" }, make("h4", {}, title), content);
}

/** One response beside what was expected: thought, answer, calls, results. */
function responseView(answer, { calls = [], gold = null, results = [], ok = [], why = [] } = {}) {
  const { thought, rest } = split(answer);
  const parts = [];
  parts.push(titled(rest === null ? "Thought, never closed with </think>" : "Thought", body(thought, "thought")));
  if (rest !== null) parts.push(titled("Answer", body(rest, "answer")));
  if (gold) {
    parts.push(make("div", { class: "pair" },
      titled("Called", callLines(calls, gold, "unlike")), titled("Expected", callLines(gold, calls, "missed"))));
  }
  if (results.length) {
    parts.push(titled(plural(results.length, "result"), results.map((text, at) =>
      make("div", { class: ok[at] === false ? "result failed" : "result" }, body(text)))));
  }
  if (why.length) parts.push(titled("What was wrong", make("ul", { class: "why" }, why.map((one) => make("li", {}, one)))));
  return make("div", { class: "response" }, parts);
}

// --- tokens as they were trained -----------------------------------------------------------------------------

const FIGURES = {
  mask: { name: "Mask", about: "1 where the model wrote the token and it is trained on" },
  rollout: { name: "Log-prob, rollout engine", about: "of the token when it was sampled, in nats" },
  old: { name: "Log-prob, old", about: "under the trained model before the update, in nats" },
  new: { name: "Log-prob, new", about: "under the model after the update, in nats; kept at some steps (rl.new_log_probs_every)" },
  change: { name: "New minus old", about: "what the update did to the token, in nats" },
  advantage: { name: "Advantage", about: "what the token's probability is pushed by" },
  entropy: { name: "Entropy", about: "of the distribution that the token was drawn from, in nats" },
};

/** A column as numbers; one number stands for as many as there are tokens. */
const column = (value, length, part = 1000) => {
  if (value === undefined) return null;
  return Array.isArray(value) ? value.map((one) => one / part) : new Array(length).fill(value / part);
};

function tokensOf(packed, pieces) {
  const length = packed.pieces.length;
  const found = { text: packed.pieces.map((at) => pieces[at]), ids: packed.ids, mask: column(packed.mask, length, 1) };
  for (const name of ["rollout", "old", "new", "entropy", "advantage"]) found[name] = column(packed[name], length);
  found.change = found.new && found.old ? found.new.map((one, at) => one - found.old[at]) : null;
  return found;
}

/** Strength (0 to 1) and hue of a token's colour. */
function tint(name, value, most) {
  if (name === "mask") return value ? [0.35, "right"] : [0, "right"];
  if (name === "advantage" || name === "change") return [Math.min(1, Math.abs(value) / (most || 1)), value < 0 ? "wrong" : "right"];
  return [Math.min(1, Math.abs(value) / Math.max(most, 1e-9)), "s1"];
}

function tokenView(tokens) {
  const names = Object.keys(FIGURES).filter((name) => tokens[name]);
  let chosen = names.includes("old") ? "old" : names[0];
  const told = make("p", { class: "told soft" }), text = make("div", { class: "tokens", tabindex: "0" });
  const tell = (at) => {
    told.replaceChildren();
    append(told, [make("b", {}, JSON.stringify(tokens.text[at])), ` id ${tokens.ids[at]}, token ${at + 1} of ${tokens.ids.length}`,
      names.map((name) => ` · ${FIGURES[name].name.toLowerCase()} ${figure(tokens[name][at])}`)]);
  };
  const draw = () => {
    const values = tokens[chosen], most = values.reduce((high, one) => Math.max(high, Math.abs(one)), 0);
    text.replaceChildren(...tokens.text.map((piece, at) => {
      const [strength, hue] = tint(chosen, values[at], most);
      const node = make("span", { "data-at": at, class: tokens.mask && !tokens.mask[at] ? "unmasked" : "",
        style: { backgroundColor: `color-mix(in srgb, var(--${hue}) ${Math.round(62 * strength)}%, transparent)` } });
      append(node, [piece.replace(/\n/g, "↵\n") || "∅"]);
      return node;
    }));
    told.replaceChildren(FIGURES[chosen].about + ". Rest the pointer on a token, or tap it, for its figures.");
  };
  const at = (event) => { const found = event.target.closest?.("[data-at]"); if (found) tell(Number(found.dataset.at)); };
  text.addEventListener("pointerover", at);
  text.addEventListener("click", at);
  const buttons = names.map((name) => make("button", { type: "button", class: "small", "aria-pressed": String(name === chosen), onclick: (event) => {
    chosen = name;
    for (const one of buttons) one.setAttribute("aria-pressed", String(one === event.currentTarget));
    draw();
  } }, FIGURES[name].name));
  draw();
  const table = folded("As a table", () => make("div", { class: "scroll" }, make("table", { class: "figures-table" },
    make("thead", {}, make("tr", {}, ["", "token", "id", ...names.map((name) => FIGURES[name].name)].map((name) => make("th", {}, name)))),
    make("tbody", {}, tokens.text.map((piece, n) => make("tr", {}, make("td", {}, n + 1), make("td", { class: "l" }, make("code", {}, JSON.stringify(piece))),
      make("td", {}, tokens.ids[n]), names.map((name) => make("td", {}, figure(tokens[name][n])))))))));
  return make("div", { class: "panel token-view" }, make("div", { class: "buttons" }, buttons), told, text, table);
}
