/** The page: who asks, where, and what is shown. Everything else is in the modules below. */

import { actAs, ApiError, get, post, Stream } from "./api.js";
import { Composer } from "./composer.js";
import { avatar, avatarStack, el, icon, iconButton, oneLanguage } from "./dom.js";
import { isFinal, MessageList } from "./messages.js";
import { Panel } from "./panel.js";
import { bare, kindBadge, renderSidebar } from "./sidebar.js";
import { currentLanguage, read, t, toggleLanguage, write } from "./texts.js";

const $ = (id) => document.getElementById(id);

const state = {
  mode: "header",
  me: null,
  people: null,
  rooms: [],
  directs: [],
  suggestions: {},
  conversation: null,
  thread: null,
  messages: new Map(),
  isLoaded: false,
  lastQuestion: null,
  unsent: null,
  again: null,
  drafts: new Map(),
};

let stream = null;
let isFrameDue = false;
const panel = new Panel($("panel"));
const list = new MessageList($("log"), {
  cite: (citation, opener) => panel.open(citation, opener, nameOf),
  rate,
  stop,
  ask: (text, thread) => ask(text, thread),
  follow,
  refresh,
  nameOf,
});
const composer = new Composer($("composer"), {
  send: (text) => ask(text, state.thread),
  stopFollowing: () => {
    state.thread = null;
    describe();
    composer.focus();
  },
  askAgain: () => ask(state.again.text, null),
  dismissAgain: () => {
    state.again = null;
    describe();
  },
});

/* Where we are */

async function load(personId, conversation) {
  actAs(personId);
  const me = await get("api/me");
  Object.assign(state, me, { isLoaded: true });
  composer.limit = me.max_question;
  if (state.mode === "playground") {
    actAs(state.me.id);
    // Per tab: a second tab may act as somebody else in the same conversation.
    write("shifu.person", state.me.id, "sessionStorage");
  }
  const isOwn = state.rooms.some((r) => r.id === conversation) || state.directs.some((d) => d.id === conversation);
  await open(isOwn ? conversation : (state.directs[0]?.id ?? (await newDirect())));
}

async function newDirect() {
  const unused = state.directs.find((d) => !d.title);
  if (unused) return unused.id;
  const { id } = await post("api/conversations", {});
  state.directs.unshift({ id, title: "" });
  return id;
}

async function open(conversation) {
  if (state.conversation) state.drafts.set(state.conversation, composer.text);
  state.conversation = conversation;
  state.thread = null;
  state.messages = new Map();
  write("shifu.conversation", conversation, "sessionStorage");
  panel.close();
  closeMenu();
  list.clear();
  composer.text = state.drafts.get(conversation) ?? "";
  connection(true);
  stream?.close();
  stream = new Stream(conversation, {
    onSnapshot: (messages) => {
      // After a lost connection, too: somebody may be reading further up.
      const isReadingAbove = state.messages.size > 0 && !isAtEnd();
      state.messages = new Map(messages.map((m) => [m.id, m]));
      render();
      if (!isReadingAbove) scrollDown();
    },
    onMessage: receive,
    onGone: () => lost(),
    onState: connection,
  });
  render();
  renderChrome();
  if (matchMedia("(pointer: fine)").matches) composer.focus();
}

async function lost() {
  await guarded(() => load(state.me.id, null));
  composer.complain(t("gone"));
}

async function switchTo(personId) {
  if (personId === state.me.id) return;
  const question = state.lastQuestion;
  await guarded(() => load(personId, state.conversation));
  state.again = question && question.askedAs !== state.me.id ? { text: question.text, name: oneLanguage(state.me.name) } : null;
  describe();
}

/* What is said */

function receive(message) {
  const before = state.messages.get(message.id);
  if (message.client_id) state.messages.delete(message.client_id);
  state.messages.set(message.id, message);
  announce(message, before);
  const isMineNew = message.is_mine && !before;
  refresh(isMineNew);
  if (message.is_mine && message.author) noteDirect(message);
}

function announce(message, before) {
  if (!message.reply || isSame(before, message)) return;
  if (message.reply.kind === "status") $("live").textContent = message.reply.text;
  else if (isFinal(message)) $("live").textContent = t("answer_ready", { text: message.reply.text.replace(/\[\d+\]/g, "") });
}

function isSame(before, message) {
  return before?.reply?.kind === message.reply.kind && before.reply.text === message.reply.text;
}

/** The first question becomes the title of a direct conversation. */
function noteDirect(message) {
  const direct = state.directs.find((d) => d.id === state.conversation);
  if (direct && !direct.title) {
    direct.title = message.text.replace(/\s+/g, " ").slice(0, 80);
    renderChrome();
  }
}

async function ask(text, thread) {
  const conversation = state.conversation;
  const clientId = idFor(conversation, thread, text);
  const isPlainSend = text === composer.text.trim();
  const pending = {
    id: clientId,
    order: Number.MAX_SAFE_INTEGER,
    thread: thread ?? clientId,
    at: new Date().toISOString(),
    author: { id: state.me.id, name: state.me.name },
    is_mine: true,
    is_open: true,
    isPending: true,
    text,
  };
  // A question sent once more may stand there already.
  if (![...state.messages.values()].some((m) => m.client_id === clientId)) state.messages.set(clientId, pending);
  state.again = null;
  if (isPlainSend) composer.text = "";
  describe();
  refresh(true);
  try {
    const sent = await post("api/messages", { conversation, thread, text, client_id: clientId });
    state.unsent = null;
    state.lastQuestion = { text, askedAs: state.me.id };
    // Further questions go on with this one, until something new is wanted.
    if (state.conversation === conversation && sent.thread) state.thread = sent.thread;
    describe();
  } catch (error) {
    state.messages.delete(clientId);
    state.unsent = { conversation, thread, text, clientId, askedAs: state.me.id };
    if (state.conversation === conversation) {
      if (isPlainSend && !composer.text) composer.text = text;
      composer.complain(explain(error, "offline_send"));
    }
    refresh();
  }
}

/** What failed may have arrived all the same: sent once more, it is the same question. */
function idFor(conversation, thread, text) {
  const { unsent } = state;
  const isAgain =
    unsent?.text === text && unsent.conversation === conversation && unsent.thread === thread && unsent.askedAs === state.me.id;
  return isAgain ? unsent.clientId : randomId();
}

let rated = Promise.resolve();

/** One after the other: the click on a thumb must not arrive after the comment on it. */
async function rate(message, rating, comment) {
  const about = { conversation: state.conversation, message: message.id, rating, comment };
  const before = rated;
  rated = (async () => {
    await before.catch(() => undefined);
    return guarded(() => post("api/feedback", about));
  })();
  return rated;
}

async function stop(questionId) {
  return guarded(() => post("api/stop", { conversation: state.conversation, message: questionId }));
}

function follow(thread) {
  state.thread = thread;
  describe();
  composer.focus();
}

/* How it looks */

function refresh(shouldScroll = false) {
  const wasAtEnd = isAtEnd();
  if (shouldScroll) state.scrollDue = true;
  if (isFrameDue) return;
  isFrameDue = true;
  requestAnimationFrame(() => {
    isFrameDue = false;
    render();
    if (state.scrollDue) showOwn();
    else if (wasAtEnd) scrollDown();
    state.scrollDue = false;
    $("jump").hidden = isAtEnd();
  });
}

function render() {
  const messages = [...state.messages.values()].sort((a, b) => a.order - b.order);
  const room = currentRoom();
  if (messages.length) list.render(messages, Boolean(room));
  else {
    list.clear();
    $("log").append(welcome());
  }
  describe();
}

function welcome() {
  const suggestions = state.suggestions[currentLanguage()] ?? [];
  return el(
    "section",
    { class: "welcome" },
    el("img", { src: "static/icon.svg", alt: "" }),
    el("h1", {}, t("hello", { name: oneLanguage(state.me.name) }), " ", el("span", {}, t("hello_sub"))),
    el("p", {}, t("hello_note")),
    el(
      "div",
      { class: "chips" },
      suggestions.map((text) => el("button", { type: "button", class: "chip", onclick: () => ask(text, null) }, text)),
    ),
  );
}

function describe() {
  if (!state.isLoaded) return;
  const room = currentRoom();
  const root = room && state.thread ? [...state.messages.values()].find((m) => (m.thread ?? m.id) === state.thread) : null;
  composer.describe({
    placeholder: !room ? (state.messages.size ? t("ask_follow") : t("ask")) : state.thread ? t("ask_follow") : t("ask_in", { name: bare(room.name) }),
    scope: room && room.readers > 1 ? t("scope_room", { n: room.readers }) : t("scope_direct"),
    following: root?.text ?? null,
    again: state.again,
  });
}

function renderChrome() {
  document.documentElement.lang = currentLanguage();
  $("skip").textContent = t("skip");
  renderSidebar($("sidebar"), state, { switchTo: (id) => switchTo(id), open: (id) => guarded(() => open(id)), newConversation, closeMenu });
  const room = currentRoom();
  const direct = state.directs.find((d) => d.id === state.conversation);
  const title = room ? bare(room.name) : direct?.title || t("direct_name");
  document.title = `${title} · Shifu`;
  $("head").replaceChildren(
    iconButton("menu", t("open_menu"), openMenu, { class: "only-narrow", id: "menu" }),
    el("div", { class: "place" }, el("h1", {}, icon(room ? (room.kind === "public" ? "hash" : "lock") : "chat"), el("span", {}, title)), readers(room)),
    el(
      "div",
      { class: "tools" },
      iconButton("plus", t("new_conversation"), newConversation, { id: "new" }),
      iconButton(document.documentElement.dataset.theme === "dark" ? "sun" : "moon", t("theme"), toggleTheme, { id: "theme" }),
      el("button", { type: "button", class: "text-button", id: "language", title: t("language"), "aria-label": t("language"), lang: currentLanguage() === "en" ? "zh-TW" : "en", onclick: changeLanguage }, t("language_short")),
    ),
  );
  $("jump").replaceChildren(icon("chevron"), t("jump"));
}

function readers(room) {
  if (!room) return el("span", { class: "who-reads" }, t("readers_one"));
  const details = el(
    "details",
    { class: "who-reads" },
    el("summary", { title: t("readers_title") }, avatarStack(room.members, room.readers), el("span", {}, room.readers === 1 ? t("readers_one") : t("readers", { n: room.readers }))),
    el(
      "div",
      { class: "menu" },
      el("h2", {}, t("readers_title")),
      el(
        "ul",
        {},
        room.members.map((person) =>
          el(
            "li",
            {},
            avatar(person, "small"),
            el("div", {}, el("span", {}, person.name, kindBadge(person)), person.title ? el("small", {}, oneLanguage(person.title)) : null),
          ),
        ),
        room.readers > room.members.length ? el("li", {}, t("readers_more", { n: room.readers - room.members.length })) : null,
      ),
    ),
  );
  return details;
}

function currentRoom() {
  return state.rooms.find((room) => room.id === state.conversation) ?? null;
}

function nameOf(userId) {
  const members = state.rooms.flatMap((room) => room.members);
  return [...(state.people ?? []), ...members].find((person) => person.id === userId)?.name ?? userId;
}

async function newConversation() {
  await guarded(async () => {
    const room = currentRoom();
    if (room) {
      // In a channel, something new begins a thread of its own.
      state.thread = null;
      closeMenu();
      describe();
      composer.focus();
      if (state.messages.size && !isNarrowMenuOpen()) return;
    }
    await open(await newDirect());
  });
}

function toggleTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  write("shifu.theme", root.dataset.theme);
  renderChrome();
  $("theme").focus();
}

function changeLanguage() {
  toggleLanguage();
  renderChrome();
  render();
  $("language").focus();
}

function openMenu() {
  document.body.classList.add("has-menu");
  $("scrim").hidden = false;
  $("sidebar").querySelector("button")?.focus();
}

function closeMenu() {
  if (!isNarrowMenuOpen()) return;
  document.body.classList.remove("has-menu");
  $("scrim").hidden = true;
  $("menu")?.focus();
}

function isNarrowMenuOpen() {
  return document.body.classList.contains("has-menu");
}

/* Scrolling: stay at the end if that is where one reads, never pull somebody away who reads above. */

function isAtEnd() {
  const scroller = $("scroller");
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
}

function scrollDown() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
  $("jump").hidden = true;
}

/** One's own question, which in a channel may have gone to a thread further up. */
function showOwn() {
  const mine = [...document.querySelectorAll(".asked.mine.pending, .asked.mine")].at(-1);
  const isLast = !mine || mine.closest(".thread") === $("log").lastElementChild;
  if (isLast) scrollDown();
  else mine.scrollIntoView({ block: "center" });
}

/* What can go wrong */

let bannerTimer = null;

function connection(isConnected) {
  if (isConnected) {
    clearTimeout(bannerTimer);
    bannerTimer = null;
    $("banner").hidden = true;
  } else {
    // A blink is not worth a banner; each further try to connect is the same loss.
    bannerTimer ??= setTimeout(() => {
      $("banner").textContent = t("reconnecting");
      $("banner").hidden = false;
    }, 1500);
  }
}

/** False when it failed; what went wrong is said above the field. */
async function guarded(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    composer.complain(explain(error, "unreachable"));
    return false;
  }
}

function explain(error, offlineText) {
  if (error instanceof ApiError) return error.code === "offline" ? t(offlineText) : error.message || t("failed");
  return t("failed");
}

function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}

async function start() {
  renderShell();
  try {
    await load(read("shifu.person", "sessionStorage"), read("shifu.conversation", "sessionStorage"));
  } catch (error) {
    if (error.code === "unknown_user" && read("shifu.person", "sessionStorage")) {
      write("shifu.person", "", "sessionStorage");
      await start();
      return;
    }
    $("log").replaceChildren(
      el(
        "section",
        { class: "welcome failed", role: "alert" },
        icon("warn"),
        el("h1", {}, explain(error, "unreachable")),
        el("button", { type: "button", class: "button primary", onclick: start }, t("retry")),
      ),
    );
  }
}

function renderShell() {
  document.documentElement.lang = currentLanguage();
  $("log").replaceChildren(el("p", { class: "loading" }, t("loading")));
}

$("scroller").addEventListener("scroll", () => ($("jump").hidden = isAtEnd()), { passive: true });
$("jump").addEventListener("click", scrollDown);
$("scrim").addEventListener("click", closeMenu);
document.addEventListener("pointerdown", (event) => {
  for (const details of document.querySelectorAll("details[open].who-reads")) {
    if (!details.contains(event.target)) details.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const details = document.querySelector("details[open].who-reads");
    if (details) details.open = false;
    else if (isNarrowMenuOpen()) closeMenu();
    else panel.close();
  }
  const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    composer.focus();
  }
});
window.addEventListener("online", () => stream?.reopen());

start();
