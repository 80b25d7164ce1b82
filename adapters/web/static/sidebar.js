/** The left side: who one is, and where one speaks. */

import { avatar, avatarStack, el, icon, iconButton, oneLanguage } from "./dom.js";
import { t } from "./texts.js";

export function renderSidebar(root, state, actions) {
  root.replaceChildren(
    el(
      "div",
      { class: "brand" },
      el("img", { src: "static/icon.svg", alt: "", class: "logo" }),
      el("div", {}, el("strong", {}, "Shifu"), el("span", {}, t("tagline"))),
      iconButton("close", t("close"), actions.closeMenu, { class: "only-narrow" }),
    ),
    personCard(state, actions),
    conversations(state, actions),
  );
}

function personCard(state, actions) {
  const { me, people } = state;
  if (!people) return el("div", { class: "person fixed" }, face(me));
  const button = el(
    "button",
    {
      type: "button",
      class: "person",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      "aria-label": `${t("acting_as")} ${me.name}. ${t("switch_person")}`,
      onclick: () => togglePeople(button, state, actions),
    },
    face(me),
    icon("chevron"),
  );
  return el("div", { class: "switcher" }, el("h2", {}, t("acting_as")), button);
}

function face(person) {
  return [
    avatar(person),
    el(
      "span",
      { class: "who" },
      el("span", { class: "name" }, person.name, kindBadge(person)),
      person.title ? el("span", { class: "title" }, oneLanguage(person.title)) : null,
      person.groups.length
        ? el("span", { class: "groups" }, person.groups.map((group) => el("span", { class: "group" }, group)))
        : null,
    ),
  ];
}

export function kindBadge(person) {
  if (person.kind === "employee") return null;
  return el("span", { class: `kind ${person.kind}` }, t(person.kind));
}

function togglePeople(button, state, actions) {
  const existing = button.parentElement.querySelector(".menu");
  if (existing) {
    closeMenu(button, existing);
    return;
  }
  const items = state.people.map((person) =>
    el(
      "button",
      {
        type: "button",
        class: "person",
        role: "menuitemradio",
        "aria-checked": String(person.id === state.me.id),
        tabIndex: -1,
        "data-person": person.id,
        onclick: () => {
          closeMenu(button, menu);
          actions.switchTo(person.id);
        },
      },
      face(person),
      person.id === state.me.id ? icon("check") : null,
    ),
  );
  const menu = el("div", { class: "menu", role: "menu", "aria-label": t("people") }, items);
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = items.indexOf(document.activeElement);
    if (step) {
      event.preventDefault();
      items[(at + step + items.length) % items.length].focus();
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      items.at(event.key === "Home" ? 0 : -1).focus();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      closeMenu(button, menu);
      button.focus();
    } else if (event.key === "Tab") closeMenu(button, menu);
  });
  button.after(menu);
  button.setAttribute("aria-expanded", "true");
  menu.querySelector('[aria-checked="true"]')?.focus();
  const outside = (event) => {
    if (!menu.isConnected) document.removeEventListener("pointerdown", outside);
    else if (!menu.contains(event.target) && !button.contains(event.target)) closeMenu(button, menu);
  };
  document.addEventListener("pointerdown", outside);
}

function closeMenu(button, menu) {
  menu.remove();
  button.setAttribute("aria-expanded", "false");
}

function conversations(state, actions) {
  const rooms = (kind) => state.rooms.filter((room) => room.kind === kind);
  const section = (title, rows, action) =>
    rows.length || action ? el("section", {}, el("div", { class: "section-head" }, el("h2", {}, title), action), el("ul", {}, rows)) : null;
  return el(
    "nav",
    { class: "conversations" },
    section(
      t("directs"),
      state.directs.map((direct) => row(state, actions, direct.id, "chat", direct.title || t("new_conversation"))),
      iconButton("plus", t("new_conversation"), actions.newConversation, { class: "small" }),
    ),
    section(t("private"), rooms("private").map((room) => roomRow(state, actions, room, "lock"))),
    section(t("public"), rooms("public").map((room) => roomRow(state, actions, room, "hash"))),
  );
}

function roomRow(state, actions, room, mark) {
  const readers = room.readers === 1 ? t("readers_one") : t("readers", { n: room.readers });
  return row(
    state,
    actions,
    room.id,
    mark,
    bare(room.name),
    el("span", { class: "readers" }, avatarStack(room.members, room.readers), readers),
  );
}

function row(state, actions, id, mark, name, below) {
  const isCurrent = id === state.conversation;
  return el(
    "li",
    {},
    el(
      "button",
      {
        type: "button",
        class: "conversation",
        "data-conversation": id,
        "aria-current": isCurrent ? "true" : undefined,
        onclick: () => actions.open(id),
      },
      icon(mark),
      el("span", { class: "labels" }, el("span", { class: "name" }, name), below),
    ),
  );
}

/** Directories write channel names with or without their sign; the icon stands for it. */
export function bare(name) {
  return name.replace(/^#/, "");
}
