// What the pages do beyond reading, which works without it: filters that apply at once, and "what if" by the HTTP API.
"use strict";

for (const form of document.querySelectorAll("form[data-find]")) {
  for (const select of form.querySelectorAll("select")) {
    // Only a choice made with the pointer: with the keyboard, each arrow would load a page.
    let pointed = false;
    select.addEventListener("pointerdown", () => { pointed = true; });
    select.addEventListener("keydown", () => { pointed = false; });
    select.addEventListener("change", () => { if (pointed) form.requestSubmit(); });
  }
  // Addresses without empty parameters.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData.entries()]) {
      if (value === "") event.formData.delete(name);
    }
  });
}

for (const form of document.querySelectorAll("form[data-what-if]")) whatIf(form);

function whatIf(form) {
  const result = form.parentElement.querySelector("[data-result]");
  let company = null;
  let now = null;
  let asked = 0;

  async function load() {
    const lead = await answer(fetch(form.dataset.lead));
    company = { id: lead.id, as_of: form.dataset.asOf, usage: lead.usage.slice(-Number(form.dataset.weeks)) };
    for (const field of fields("attribute")) company[field.dataset.column] = lead[field.dataset.column];
    now = await predict(company);
  }

  function predict(body) {
    const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    return answer(fetch(form.dataset.predict, options));
  }

  function fields(of) {
    return [...form.elements].filter((field) => field.dataset.of === of);
  }

  function changed() {
    const changes = { ...company, usage: company.usage.map((week) => ({ ...week })) };
    for (const field of fields("attribute")) changes[field.dataset.column] = valueOf(field);
    const time = form.dataset.time;
    const counts = Object.fromEntries(fields("count").map((field) => [field.dataset.column, valueOf(field) ?? 0]));
    const week = changes.usage.find((each) => each[time] === form.dataset.firstDay);
    if (week) Object.assign(week, counts);
    else if (Object.values(counts).some((count) => count !== 0)) {
      changes.usage.push({ [time]: form.dataset.firstDay, ...counts });
    }
    return changes;
  }

  async function show() {
    const turn = ++asked;
    try {
      if (company === null) await load();
      const then = await predict(changed());
      if (turn === asked) result.replaceChildren(...told(now, then));
    } catch (error) {
      if (turn === asked) result.replaceChildren(element("p", "refusal", error.message));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    show();
  });
  form.addEventListener("reset", () => { asked += 1; result.replaceChildren(); });
}

async function answer(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Error("The service cannot be reached. Is the network there?");
  }
  const content = await response.json().catch(() => ({}));
  if (response.status === 401) throw new Error("You are no longer signed in. Load the page again.");
  if (!response.ok) throw new Error(content.error ?? `The service answered with status ${response.status}.`);
  return content;
}

function valueOf(field) {
  const text = field.value.trim();
  if (text === "") return null;
  if (field.dataset.kind === "flag") return text === "yes";
  if (field.dataset.kind === "number" || field.dataset.kind === "whole") {
    return Number.isNaN(Number(text)) ? text : Number(text);
  }
  return text;
}

function told(now, then) {
  const big = element("p", "big");
  const tier = element("span", `tier ${then.tier}`, then.tier.replace("_", " "));
  big.append(element("b", "", percent(then.conversion_probability)), " ", tier);
  const points = Math.round((then.conversion_probability - now.conversion_probability) * 1000) / 10;
  const moved = points === 0 ? "No change" : `${Math.abs(points)} points ${points > 0 ? "more" : "fewer"}`;
  const parts = [big, element("p", "", `${moved}, from ${percent(now.conversion_probability)}.`)];
  const reasons = element("ul", "reasons");
  reasons.append(...then.reasons.map((reason) => element("li", "", reason)));
  parts.push(reasons);
  if (then.caution) {
    const caution = element("p", "caution");
    caution.append(element("b", "", "But:"), ` ${then.caution}`);
    parts.push(caution);
  }
  return parts;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// As conversion.pages.words.percent writes shares.
function percent(share) {
  const value = share * 100;
  if (value === 0) return "0 %";
  if (value >= 9.95) return `${value.toFixed(0)} %`;
  let places = 1;
  while (places < 5 && value < 10 ** (1 - places) - 1e-12) places += 1;
  return `${Number(value.toFixed(places))} %`;
}
