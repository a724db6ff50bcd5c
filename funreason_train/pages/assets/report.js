// The report of a run: its views, and its news while the run goes on.

const REFRESH = 10000; // milliseconds between two looks at a run that goes on

async function reportPage() {
  const app = byId("app"), bar = byId("bar");
  let data = await block("report");
  let browser = null;

  const news = make("span", { class: "soft news", role: "status" });
  const tab = (name, to) => make("a", { href: to, "data-view": to === "#/" ? "" : "rollouts" }, name);
  const tabs = make("nav", { class: "tabs", "aria-label": "views" });
  append(bar, [make("strong", { class: "brand" }, data.title), tabs, news, themeButton()]);

  const pages = make("div", { class: "report" });
  const holder = make("div", { class: "holder", hidden: true });
  app.replaceChildren(pages, holder);

  function draw() {
    for (const one of [...drawn].filter((chart) => pages.contains(chart.panel))) one.end();
    const at = scrollY;
    pages.replaceChildren();
    append(pages, [headSection(data)]);
    const sections = [timelineSection(data.timeline), evaluationSection(data), ...trainingSection(data, draw), planSection(data), dataSection(data), settingsSection(data)].flat().filter(Boolean);
    const jumps = make("nav", { class: "jumps", "aria-label": "sections" }, sections.map((one) => make("a", { href: `#/section/${one.id}` }, one.querySelector("h2").textContent)));
    append(pages, [jumps, sections]);
    scrollTo(0, at);
  }

  function route() {
    const { view, parts } = here(), rollouts = view === "rollouts" && Boolean(data.rollouts);
    tabs.replaceChildren(tab("Report", "#/"), ...(data.rollouts ? [tab("Rollouts", "#/rollouts")] : []));
    for (const one of tabs.children) one.setAttribute("aria-current", String((one.dataset.view === "rollouts") === rollouts));
    document.body.classList.toggle("wide", rollouts);
    pages.hidden = rollouts;
    holder.hidden = !rollouts;
    if (rollouts && !browser) {
      browser = rolloutsView(data);
      holder.append(browser.root);
      browser.begin();
    } else if (rollouts) browser.route();
    if (view === "section") byId(parts[0])?.scrollIntoView({ behavior: "smooth" });
  }

  draw();
  addEventListener("hashchange", route);
  keys({ j: () => { if (!holder.hidden) browser?.step(1); }, k: () => { if (!holder.hidden) browser?.step(-1); } });
  route();
  if (!live) return;

  async function look() {
    try {
      const answer = await fetch("block/report", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      const now = await inflate(text);
      const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
      news.textContent = `live, ${time}`;
      if (now.version !== data.version) {
        opened.clear();
        data = now;
        draw();
        if (browser && now.rollouts) browser.renew(now);
        else route();
      }
    } catch { news.textContent = "the server does not answer"; }
    setTimeout(look, REFRESH);
  }
  news.textContent = "live";
  setTimeout(look, REFRESH);
}

reportPage().catch((error) => {
  byId("app").replaceChildren(make("p", { class: "panel note wrong" }, `The data of this page cannot be read: ${error.message}`));
  console.error(error);
});
