"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const V = data.values;
  const at = (numbers) => numbers.map((number) => V[number]);
  const CHUNK = 50;

  // A user is a list, packed by embedding.py in this order.
  const users = data.users.map((row, id) => {
    const [account, name, above, uid, shared, reason, last, finding, changed, first] = row;
    const [kind, severity, status, policy, quarantine, activity, age, owner, ou, planned, goes, blocked, until, overdue] = at(shared);
    const [accountId, accountName] = data.accounts[account];
    const arn = typeof above === "string" ? above : V[above] + name;
    const user = {
      id, name, arn, uid, kind, severity, status, policy, quarantine, activity, age, owner, ou, planned, goes, blocked, until, overdue,
      reason: V[reason], account: accountId, accountName: accountName || accountId, last, first, finding: at(finding), changed: at(changed),
    };
    user.text = [name, arn, uid, accountId, accountName, kind, severity, status, policy, quarantine && `quarantine ${quarantine} quarantined`,
      user.reason, owner, ou, planned, blocked, overdue && "overdue", ...user.finding].join(" ").toLowerCase();
    user.urgency = status === "failed" ? 0 : user.overdue || (quarantine && quarantine !== "stands") ? 1 : ["deleted", "gone"].includes(status) ? 3 : 2;
    user.rank = user.urgency * 10 + ["high", "medium", "low", "unknown"].indexOf(severity);
    return user;
  });

  // Without a column to sort by, users come by rank, and those of one rank by their priority.
  const place = (user) => user.first || 1e9;
  const ranked = [...users].sort((a, b) => a.rank - b.rank || place(a) - place(b) || a.id - b.id);

  const lastText = (user) => user.last ? user.last.slice(0, 10) : user.activity === "never" ? "never" : "not known";
  const COLUMNS = [
    ["User", (user) => user.name.toLowerCase()],
    ["Account", (user) => user.accountName.toLowerCase()],
    ["Kind", (user) => user.kind],
    ["Severity", (user) => ["high", "medium", "low", "unknown"].indexOf(user.severity) * 100 - user.finding.length],
    ["Last active", (user) => user.last || (user.activity === "never" ? "0" : "1")],
    ["Goes", (user) => user.goes || `a${user.blocked}`],
    ["Outcome", (user) => `${user.urgency} ${user.status}`],
  ];
  const FILTERS = ["account", "status", "severity", "kind", "finding", "activity", "age", "owner", "ou", "blocked", "planned", "changed"];
  const TITLES = { activity: "last activity", age: "oldest credential", ou: "organizational unit", blocked: "in the way", planned: "announced for", changed: "since the last report" };
  const state = { q: "", sort: null, down: false };
  for (const each of FILTERS) state[each] = "";
  let matching = [], drawn = 0;

  const make = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  function select() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const asked = FILTERS.filter((each) => state[each]);
    const has = (user, key) => Array.isArray(user[key]) ? user[key].includes(state[key]) : user[key] === state[key];
    matching = ranked.filter((user) => words.every((word) => user.text.includes(word)) && asked.every((key) => has(user, key)));
    if (state.sort === null) return;
    const key = COLUMNS[state.sort][1], sign = state.down ? -1 : 1;
    const keys = new Map(matching.map((user) => [user, key(user)]));
    matching.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      return x < y ? -sign : x > y ? sign : a.rank - b.rank || a.id - b.id;
    });
  }

  function draw() {
    select();
    const body = $("list").tBodies[0];
    body.replaceChildren();
    drawn = 0;
    more(CHUNK);
    $("count").textContent = `${matching.length === users.length ? "All" : `${matching.length} of`} ${users.length} users${state.sort === null ? ", the most urgent first" : ""}`;
    $("chips").replaceChildren(...FILTERS.filter((each) => state[each]).map(chip));
    for (const each of document.querySelectorAll("select[data-filter]")) each.value = state[each.dataset.filter];
    if ($("q").value !== state.q) $("q").value = state.q;
    document.querySelectorAll("#list th").forEach((head, number) => {
      if (number === state.sort) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function chip(filter) {
    const shown = filter === "account" ? (data.accounts.find(([id]) => id === state.account) || ["", ""])[1] || state.account : state[filter];
    const button = make("button", `${TITLES[filter] || filter}: ${shown} ✕`);
    button.type = "button";
    button.setAttribute("aria-label", `Remove the filter ${TITLES[filter] || filter}: ${shown}`);
    button.onclick = () => set({ [filter]: "" });
    return button;
  }

  function more(count) {
    const rows = document.createDocumentFragment();
    for (const user of matching.slice(drawn, drawn + count)) rows.append(line(user));
    drawn = Math.min(matching.length, drawn + count);
    const body = $("list").tBodies[0];
    body.append(rows);
    if (body.rows.length && !body.querySelector("[tabindex='0']")) body.rows[0].tabIndex = 0;
    $("more").textContent = matching.length ? drawn < matching.length ? `${matching.length - drawn} more below` : "" : "No user matches.";
  }

  function line(user) {
    const row = make("tr", "", `user${["deleted", "gone"].includes(user.status) ? " gone" : ""}`);
    row.tabIndex = -1;
    row.dataset.user = user.id;
    row.setAttribute("aria-expanded", "false");
    const severity = make("td");
    severity.append(make("span", "", `dot ${user.severity}`), user.finding.length ? `${user.severity} (${user.finding.length})` : user.severity);
    if (user.finding.length) severity.title = `${user.finding.length} finding${user.finding.length === 1 ? "" : "s"}`;
    const outcome = make("td");
    outcome.append(make("span", user.status, `badge s-${user.status}`));
    if (user.quarantine === "stands" && user.status !== "quarantined") outcome.append(" ", make("span", "in quarantine", "badge s-quarantined"));
    else if (user.quarantine && user.quarantine !== "stands") outcome.append(" ", make("span", `quarantine ${user.quarantine}`, "badge bad"));
    if (user.reason && user.status !== "deleted") outcome.append(make("span", user.reason, "why"));
    row.append(make("td", user.name, "name"), make("td", user.accountName), make("td", user.kind), severity,
      make("td", lastText(user)), goesCell(user), outcome);
    return row;
  }

  // The day on which it goes, or what is in the way.
  function goesCell(user) {
    const cell = make("td", user.goes);
    if (user.blocked) cell.append(make("span", user.until ? `${user.blocked} until ${user.until}` : user.blocked, `badge${user.overdue ? " bad" : ""}`));
    if (user.overdue) {
      const since = make("span", "overdue since ", "why");
      since.append(make("span", user.planned, "day"));
      cell.append(since);
    }
    return cell;
  }

  function part(title, lines) {
    const node = make("div"), list = make("ul");
    const shown = lines.filter(Boolean);
    list.append(...(shown.length ? shown : ["none"]).map((each) => typeof each === "string" ? make("li", each) : each));
    node.append(make("h3", title), list);
    return node;
  }

  const minute = (time) => time ? `${time.replace("T", " ")} UTC` : "";

  // Details are packed for many users at once, and unpacked when the first of these is unfolded.
  const chunks = new Map();
  async function unpack(number) {
    const bytes = Uint8Array.from(atob(data.details[number]), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(await new Response(stream).text());
  }
  async function known(user) {
    const number = Math.floor(user.id / data.chunk);
    if (!chunks.has(number)) chunks.set(number, unpack(number));
    return (await chunks.get(number))[user.id % data.chunk];
  }

  function detail(user, it) {
    const { center } = it, { last } = user;
    const finding = ([id, severity, text]) => {
      const item = make("li");
      item.append(make("span", "", `dot ${severity}`), `${text} `, make("span", id, "id"));
      return item;
    };
    const outcome = ([time, policy, status, reason, code]) => {
      const item = make("li");
      item.append(make("span", status, `badge s-${status}`), ` ${minute(time)} ${policy} ${code}`);
      if (reason) item.append(make("span", reason, "why"));
      return item;
    };
    const grid = make("div", "", "grid");
    grid.append(
      part("Outcomes, the latest first", it.outcomes.length ? it.outcomes.map(outcome) : ["no action has reported on it"]),
      part("Findings", [...it.findings.map(finding), ...it.unknown.map((id) => `${id}: not known, its evidence was not read`)]),
      part("Announcement", [
        it.announced ? `announced on ${it.announced} for ${user.planned}` : "none is on record",
        user.goes && `goes on ${user.goes}, if nothing changes`,
        user.blocked && `in the way: ${user.blocked}${user.until ? ` until ${user.until}` : ""}`,
        user.overdue && `overdue; ${it.mails} mail${it.mails === 1 ? "" : "s"} said so`,
        `owner: ${user.owner || "not known"}`, user.ou && `organizational unit: ${user.ou}`,
      ]),
      part("Evidence", it.reasons),
      part("Credentials", [
        ...it.credentials.map(([title, active, created, used]) =>
          `${title}: ${active === null ? "status unknown" : active ? "active" : "inactive"}${created ? `, of ${created}` : ""}` +
          `, ${used === "never" ? "never used" : used ? `last used ${used}` : "use unknown"}`),
        it.oldest && `The oldest active one is of ${it.oldest}`,
        last && `Last activity: ${minute(last)}${it.by ? `, by ${it.by}` : ""}`,
        ...it.unsure.map((text) => `Not certain: ${text}`),
      ]),
      part("Who calls with its keys", [it.first, ...it.calls]),
      part("Attached", [
        Object.entries(it.held).map(([kind, count]) => `${kind}: ${count}`).join(", "),
        it.unread.length && `Not read, so at least so many: ${it.unread.join(", ")}`,
        ...it.trusted.map((role) => `Trusted by ${role}`),
        ...it.breaks.map((place) => `Breaks when it is deleted: ${place}`),
      ]),
      part("Replacement", [it.replacement.join(" or "), center && `Identity Center: ${[center.state, center.reason, center.username, center["permission-set"]].filter(Boolean).join(", ")}`]),
      part("User", [user.arn, user.uid, it.created && `created ${it.created}`, it.seen && `last selected ${minute(it.seen)}`]),
      part("Sources", it.sources.map(([name, source, time, problem]) => `${name}: ${source} ${problem ? `could not be read: ${problem}` : minute(time)}`)),
    );
    return grid;
  }

  function unfolded(user) {
    const cell = make("td", "…"), node = make("tr", "", "detail");
    cell.colSpan = COLUMNS.length;
    node.append(cell);
    known(user).then(
      (it) => cell.replaceChildren(detail(user, it)),
      (error) => cell.replaceChildren(`This browser can't unpack the details (${error.name}): --format json has them too.`),
    );
    return node;
  }

  function toggle(row) {
    const open = row.getAttribute("aria-expanded") === "true";
    row.setAttribute("aria-expanded", String(!open));
    if (open) row.nextElementSibling.remove();
    else row.after(unfolded(users[row.dataset.user]));
  }

  function focus(row) {
    const before = $("list").querySelector("tbody [tabindex='0']");
    if (before) before.tabIndex = -1;
    row.tabIndex = 0;
    row.focus();
  }

  function step(row, by) {
    const side = by > 0 ? "nextElementSibling" : "previousElementSibling";
    let next = row[side];
    if (!next && by > 0 && drawn < matching.length) { more(CHUNK); next = row[side]; }
    if (next && next.className === "detail") next = next[side];
    if (next) focus(next);
    else if (by < 0) $("q").focus();
  }

  // What is selected stands in the address, so that a link leads to it.
  function set(change, silent) {
    Object.assign(state, change);
    draw();
    if (silent) return;
    const parts = ["q", ...FILTERS].filter((each) => state[each]).map((each) => `${each}=${encodeURIComponent(state[each])}`);
    history.replaceState(null, "", `#${parts.join("&")}`);
  }

  function follow() {
    const asked = {};
    for (const each of location.hash.slice(1).split("&")) {
      const [key, value] = each.split("=");
      if ((FILTERS.includes(key) || key === "q") && value) {
        try { asked[key] = decodeURIComponent(value); } catch { /* not one of ours */ }
      }
    }
    const empty = Object.fromEntries(["q", ...FILTERS].map((each) => [each, ""]));
    set({ ...empty, ...asked }, true);
    if (!Object.keys(asked).length) return;
    document.querySelector(".users").scrollIntoView();
    if (matching.length === 1) toggle($("list").tBodies[0].rows[0]);
  }

  for (const each of document.querySelectorAll("select[data-filter]")) {
    const values = [...new Set(users.flatMap((user) => user[each.dataset.filter]))].sort();
    each.append(new Option("all", ""), ...values.map((value) => new Option(value, value)));
    each.onchange = () => set({ [each.dataset.filter]: each.value });
  }
  COLUMNS.forEach(([title], number) => {
    const head = make("th"), button = make("button", title);
    button.type = "button";
    button.onclick = () => set(state.sort !== number ? { sort: number, down: false } : state.down ? { sort: null, down: false } : { down: true });
    head.scope = "col";
    head.append(button);
    $("list").tHead.rows[0].append(head);
  });
  $("q").oninput = () => set({ q: $("q").value });
  $("clear").onclick = () => { set(Object.fromEntries(["q", ...FILTERS].map((each) => [each, ""]))); $("q").focus(); };
  $("controls").onsubmit = (event) => event.preventDefault();
  $("list").tBodies[0].onclick = (event) => {
    const row = event.target.closest("tr.user");
    if (row && !String(getSelection())) { focus(row); toggle(row); }
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = event.target.closest && event.target.closest("tr.user");
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const first = $("list").tBodies[0].rows[0];
    if (event.key === "/" && !typing) $("q").focus();
    else if (event.key === "Escape" && event.target === $("q")) set({ q: "" });
    else if (event.key === "Escape" && row) {
      if (row.getAttribute("aria-expanded") === "true") toggle(row);
      else $("q").focus();
    } else if (event.target === $("q") && event.key === "ArrowDown" && first) focus(first);
    else if (row && ["ArrowDown", "j"].includes(event.key)) step(row, 1);
    else if (row && ["ArrowUp", "k"].includes(event.key)) step(row, -1);
    else if (row && ["Enter", " "].includes(event.key)) toggle(row);
    else return;
    event.preventDefault();
  });
  new IntersectionObserver((seen) => {
    if (seen[0].isIntersecting && drawn < matching.length) more(CHUNK);
  }, { rootMargin: "600px" }).observe($("more"));
  addEventListener("hashchange", follow);
  // On paper all that is selected, and everything that can be unfolded.
  let opened = [];
  addEventListener("beforeprint", () => {
    more(matching.length);
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });

  $("controls").hidden = $("list").hidden = false;
  follow();
})();
