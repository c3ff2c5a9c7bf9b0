// What the pages do better with JavaScript: the cart and the recommendations change in place, and the shop hears which
// recommendations were really on the screen. Without it all links and forms work by themselves. Texts of products and
// reasons go into the page as text only; the Content-Security-Policy forbids anything else.
"use strict";

// Half of a card, for a second: what the Media Rating Council calls a viewable impression of an ad.
const SEEN_SHARE = 0.5;
const SEEN_AFTER_MS = 1000;
const SAID_FOR_MS = 6000;
const STALE_AFTER_MS = 10000;

const section = document.getElementById("recommendations");
let saidTimer;

function say(text) {
  const said = document.getElementById("said");
  clearTimeout(saidTimer);
  said.textContent = text;
  saidTimer = setTimeout(() => { said.textContent = ""; }, SAID_FOR_MS);
}

function copyOf(templateId) {
  return document.getElementById(templateId).content.firstElementChild.cloneNode(true);
}

function situation() {
  return { page: document.body.dataset.page, looking_at: document.body.dataset.lookingAt };
}

// What is taken out of a page loses the focus, even if it is put in again at once.
function focusedIn(element) {
  return element.contains(document.activeElement) ? document.activeElement : null;
}

function keepFocus(focused, otherwise) {
  if (focused !== null) (focused.isConnected ? focused : otherwise).focus({ preventScroll: true });
}

// ---- what is shown

function showAdvice(advice) {
  if (section === null) return;
  const list = section.querySelector(".cards");
  const focused = focusedIn(list);
  const before = new Map([...list.children].map((card) => [card.dataset.item, card]));
  const cards = advice.items.map((item) => {
    const card = before.get(item.item_id) ?? copyOf("card");
    card.classList.toggle("arriving", !before.has(item.item_id));
    fillCard(card, item, advice.request_id);
    return card;
  });
  section.dataset.requestId = advice.request_id;
  section.querySelector("h2").textContent = advice.heading;
  document.getElementById("changed").textContent = advice.changed;
  list.replaceChildren(...cards);
  keepFocus(focused, section.querySelector("h2"));
  watchCards();
}

function fillCard(card, item, requestId) {
  card.dataset.item = item.item_id;
  card.querySelector(".card-link").href = item.href;
  card.querySelector("img").src = item.picture;
  card.querySelector(".card-title").textContent = item.title;
  card.querySelector(".new").hidden = !item.new;
  card.querySelector(".reason").textContent = item.reason;
  card.querySelector(".price").textContent = item.price;
  card.querySelector("[name=product_id]").value = item.item_id;
  card.querySelector("[name=request_id]").value = requestId;
  card.querySelector("button").setAttribute("aria-label", `Add ${item.title} to the cart`);
}

function showCart(cart) {
  const count = document.getElementById("cart-count");
  count.textContent = cart.count;
  count.setAttribute("aria-label", cart.count_label);
  const whole = document.getElementById("cart");
  if (whole === null) return;
  const focused = focusedIn(whole);
  document.getElementById("cart-empty").hidden = cart.lines.length > 0;
  document.getElementById("cart-full").hidden = cart.lines.length === 0;
  document.getElementById("cart-total").textContent = cart.total;
  const list = whole.querySelector(".lines");
  const before = new Map([...list.children].map((line) => [line.dataset.item, line]));
  list.replaceChildren(...cart.lines.map((item) => {
    const line = before.get(item.item_id) ?? copyOf("line");
    fillLine(line, item);
    return line;
  }));
  keepFocus(focused, list.querySelector("button") ?? whole.querySelector("a"));
}

function fillLine(line, item) {
  line.dataset.item = item.item_id;
  line.querySelector("img").src = item.picture;
  const title = line.querySelector(".line-title");
  title.href = item.href;
  title.textContent = item.title;
  line.querySelector(".units").textContent = item.units;
  line.querySelector(".price").textContent = item.amount;
  line.querySelector("[name=product_id]").value = item.item_id;
  line.querySelector("button").setAttribute("aria-label", `Remove ${item.title} from the cart`);
}

// ---- asking the shop: one after the other, so that no older answer comes last

let asking = Promise.resolve();

function ask(path, options) {
  asking = asking.then(async () => {
    try {
      const response = await fetch(path, { ...options, headers: { accept: "application/json" } });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const told = await response.json();
      showCart(told.cart);
      showAdvice(told.recommendations);
      if (told.said) say(told.said);
    } catch {
      if (options.method === "POST") say("That did not work. Please try again.");
    }
  });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-in-place]")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(situation())) body.set(name, value);
  ask(form.getAttribute("action"), { method: "POST", body });
});

function refresh() {
  ask(`/recommendations?${new URLSearchParams(situation())}`, { method: "GET" });
}

// ---- what was seen

const waiting = new Map();
const sent = new Set();
let due = [];
let sending;

const observer = new IntersectionObserver((entries) => {
  for (const { target, intersectionRatio } of entries) {
    clearTimeout(waiting.get(target));
    waiting.delete(target);
    if (intersectionRatio >= SEEN_SHARE && document.visibilityState === "visible") {
      waiting.set(target, setTimeout(() => seen(target), SEEN_AFTER_MS));
    }
  }
}, { threshold: [0, SEEN_SHARE] });

function watchCards() {
  stopWatching();
  if (!section?.dataset.requestId) return; // the shop's own choice: nobody asks how well it does
  for (const card of section.querySelectorAll(".card")) observer.observe(card);
}

function stopWatching() {
  observer.disconnect();
  for (const timer of waiting.values()) clearTimeout(timer);
  waiting.clear();
}

function seen(card) {
  const requestId = section.dataset.requestId;
  const key = `${requestId} ${card.dataset.item}`;
  if (sent.has(key)) return;
  sent.add(key);
  due.push({ request_id: requestId, product_id: card.dataset.item });
  clearTimeout(sending);
  sending = setTimeout(send, 100); // those of one row go together
}

function send() {
  if (due.length === 0) return;
  navigator.sendBeacon("/shown", new Blob([JSON.stringify({ shown: due })], { type: "application/json" }));
  due = [];
}

// ---- coming and going

let hiddenAt = 0;

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    hiddenAt = Date.now();
    stopWatching();
    send();
  } else if (Date.now() - hiddenAt > STALE_AFTER_MS) {
    refresh();
  } else {
    watchCards();
  }
});
window.addEventListener("pagehide", send);
window.addEventListener("pageshow", (event) => { if (event.persisted) refresh(); });
watchCards();
